"""One run: creates mutants, tests them one at a time, and reports the survivors."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutation.explained import key, read_explained
from mutation.mutants import Mutant, mutants
from mutation.pure import ROOT, pure_modules, tests_of
from mutation.trial import survives

# What is needed to test a mutant.
_COPIED = ("ovh_proxy", "tests", "pyproject.toml")
_OWN_TESTS_S, _ALL_TESTS_S = 60.0, 240.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every mutant was detected or is explained, else 1."""
    options = _parser().parse_args(arguments)
    os.nice(10)
    explained = read_explained()
    with tempfile.TemporaryDirectory(prefix="ovh-proxy-mutation-") as folder:
        _copy(Path(folder))
        os.chdir(folder)
        sys.path.insert(0, folder)
        survivors = [
            one
            for one in _tried(options.modules or pure_modules(), options.list)
            if key(one.name) not in explained
        ]
    for one in survivors:
        _say(f"survived, line {one.line}: {one.name}")
    return 1 if survivors else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="modules such as core/target.py (default: all pure ones)"
    )
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    return parser


def _copy(folder: Path) -> None:
    for name in _COPIED:
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)


def _tried(modules: Sequence[str], is_list: bool) -> Iterator[Mutant]:
    """Yields the mutants that no test detected."""
    import hypothesis  # noqa: F401 - so that each child has it loaded
    import pytest  # noqa: F401 - the same

    for module in modules:
        source = Path("ovh_proxy", module).read_text("utf-8")
        if not is_list and not _is_alive(module, source):
            raise SystemExit(f"{module}: the tests fail without any mutation")
        made = mutants(module, source)
        if is_list:
            _say("\n".join(f"{one.line}: {one.name}" for one in made))
            continue
        alive = [one for one in made if _is_alive(module, one.source, one)]
        _say(f"{module}: {len(made)} mutants, {len(alive)} survived")
        yield from alive


def _is_alive(module: str, source: str, mutant: Mutant | None = None) -> bool:
    name = f"ovh_proxy.{module.removesuffix('.py').replace('/', '.')}"
    own = tests_of(module)
    if own and not survives(name, source, own, _OWN_TESTS_S):
        return False
    everything = sorted({test for one in pure_modules() for test in tests_of(one)})
    is_alive = survives(name, source, everything, _ALL_TESTS_S)
    if is_alive and mutant is not None:
        _say(f"  {mutant.line}: {mutant.name}")
    return is_alive


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
