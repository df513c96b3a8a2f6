"""The command line."""

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.scenes import SCENES, Scene

ABOUT = "Compares the speed of ovh-proxy with other proxies, each on one core."


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed options."""

    scenes: tuple[str, ...]
    contenders: tuple[str, ...]
    rounds: int
    seconds: float
    connections: tuple[int, ...]
    proxy_core: int | None
    load_core: int | None
    aws_sigv4_proxy: str | None
    mitmdump: str | None
    against: Path | None
    settings: tuple[str, ...]
    write: Path | None
    from_json: tuple[Path, ...]

    @property
    def in_words(self) -> dict[str, str]:
        """The options that a reader of the figures needs to know, without paths."""
        words = {"rounds": f"{self.rounds}, every contender in turn", "load": f"{self.seconds} s"}
        return words | ({"settings": "; ".join(self.settings)} if self.settings else {})


def names(known: Mapping[str, object]) -> Callable[[str], tuple[str, ...]]:
    """Returns a parser for a comma-separated list of known names."""

    def read(text: str) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(part for part in text.split(",") if part))
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            problem = f"unknown: {', '.join(unknown)}" if unknown else "at least one is required"
            raise argparse.ArgumentTypeError(f"{problem} (use {', '.join(known)})")
        return wanted

    return read


def numbers(text: str) -> tuple[int, ...]:
    """Parses a comma-separated list of numbers above zero."""
    try:
        wanted = tuple(int(part) for part in text.split(","))
    except ValueError:
        wanted = ()
    if not wanted or min(wanted) < 1:
        raise argparse.ArgumentTypeError(f"not a list of numbers such as 1,16,64: {text}")
    return wanted


def at_least_one(text: str) -> int:
    """Parses a number above zero."""
    (number,) = numbers(text)[:1]
    return number


def program(text: str) -> str:
    """Parses the path of a program; absolute, because contenders run in another directory."""
    found = shutil.which(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"program not found: {text}")
    return str(Path(found).absolute())


def checkout(text: str) -> Path:
    """Parses the path of a checkout of this project."""
    path = Path(text).absolute()
    if not (path / "ovh_proxy" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"not a checkout of ovh-proxy: {text}")
    return path


def _table(table: Mapping[str, Contender | Scene]) -> str:
    width = max(map(len, table))
    return "\n".join(f"  {name:{width}}  {entry.about}" for name, entry in table.items())


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"scenes:\n{_table(SCENES)}\n\ncontenders:\n{_table(CONTENDERS)}",
    )
    add = parser.add_argument
    add("--scenes", type=names(SCENES), metavar="A,B", help="scenes to run (default: all)")
    add(
        "--contenders",
        type=names(CONTENDERS),
        metavar="A,B",
        help="contenders to measure (default: all available)",
    )
    add("--rounds", type=at_least_one, metavar="N", help="rounds per contender (default: 5)")
    add("--seconds", type=at_least_one, metavar="S", help="seconds of load per figure (default: 3)")
    add(
        "--connections",
        type=numbers,
        metavar="N,N",
        default=(1, 16, 64, 256),
        help="connections of the scene rate (default: 1,16,64,256)",
    )
    add(
        "--quick",
        action="store_true",
        help="one round of one second, to check that everything works",
    )
    add("--proxy-core", type=int, metavar="N", help="core of the contender (default: the last one)")
    add(
        "--load-core",
        type=int,
        metavar="N",
        help="core of load and upstream (default: the first one)",
    )
    add("--aws-sigv4-proxy", type=program, metavar="BINARY", help="path of aws-sigv4-proxy")
    add("--mitmdump", type=program, metavar="BINARY", help="path of mitmdump (default: from PATH)")
    add("--against", type=checkout, metavar="DIR", help="another checkout to compare with")
    add(
        "--set",
        action="append",
        default=[],
        metavar="'KEY: VALUE'",
        help="additional line for the settings of ovh-proxy, such as 'workers: 2' (repeatable)",
    )
    add("--write", type=Path, metavar="PREFIX", help="write PREFIX.json and .svg, update PREFIX.md")
    add(
        "--from-json",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="report this earlier run instead of measuring; each further file adds its scenes",
    )
    return parser


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Parses the command line. Exits on errors, as argparse does."""
    given = parser().parse_args(arguments)
    rounds, seconds = (1, 1) if given.quick else (5, 3)
    contenders = given.contenders or tuple(CONTENDERS)
    return Options(
        scenes=given.scenes or tuple(SCENES),
        contenders=contenders,
        rounds=given.rounds or rounds,
        seconds=given.seconds or seconds,
        connections=given.connections,
        proxy_core=given.proxy_core,
        load_core=given.load_core,
        aws_sigv4_proxy=given.aws_sigv4_proxy,
        mitmdump=given.mitmdump,
        against=given.against,
        settings=tuple(given.set),
        write=given.write,
        from_json=tuple(given.from_json),
    )
