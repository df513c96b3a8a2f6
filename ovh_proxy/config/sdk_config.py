"""The official SDKs' `ovh.conf` and `OVH_*`, read for import.

Taken is what python-ovh and go-ovh agree on: keys of the environment over `./ovh.conf` over
`~/.ovh.conf` over `/etc/ovh.conf`, one by one, empty ones ignored.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import Problem
from ovh_proxy.store.credential_fields import CREDENTIAL_NAMES
from ovh_proxy.store.locate import conf_files

ENVIRONMENT = "OVH_*"
VARIABLES = {key: f"OVH_{key.upper()}" for key in ("endpoint", "profile", *CREDENTIAL_NAMES)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, and where it was found.

    Attributes:
        source: a file as a person names it, or ENVIRONMENT.
        line: 0 for a variable.
        is_here: whether it is from `./ovh.conf`, which anybody may have put there.
    """

    key: str
    text: str = field(repr=False)
    source: str
    line: int = 0
    is_here: bool = False

    def problem(self, profile: str, message: str) -> Problem:
        """What is wrong with it, at its place."""
        if self.source == ENVIRONMENT:
            return Problem("environment", 0, VARIABLES[self.key], message)
        return Problem(self.source, self.line, f"{profile}.{self.key}", message)


@dataclass(frozen=True, slots=True)
class SdkConfiguration:
    """What the SDKs would read, before any of it is understood.

    Attributes:
        sections: of all files in one, the strongest file's value of each key.
        names: the files as a person knows them, the strongest first.
        files: absolute paths of those that are there.
    """

    sections: Mapping[str, Mapping[str, Entry]]
    environment: Mapping[str, Entry]
    names: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_sdk_configuration(sources: Sources) -> SdkConfiguration:
    """All that the SDKs would read here."""
    sections: dict[str, dict[str, Entry]] = {}
    files: list[str] = []
    problems: list[Problem] = []
    for name, path in conf_files(sources):
        if os.path.lexists(path):
            files.append(os.path.abspath(path))
            for section, entry in _read_file(name, path, problems):
                sections.setdefault(section, {}).setdefault(entry.key, entry)
    return SdkConfiguration(
        sections,
        read_variables(sources.environ),
        tuple(name for name, _ in conf_files(sources)),
        tuple(files),
        tuple(problems),
    )


def read_conf_file(name: str) -> SdkConfiguration:
    """What one file says, by whatever name, and no variable."""
    sections: dict[str, dict[str, Entry]] = {}
    problems: list[Problem] = []
    for section, entry in _read_file(name, Path(name), problems):
        sections.setdefault(section, {})[entry.key] = entry
    return SdkConfiguration(sections, {}, (name,), (os.path.abspath(name),), tuple(problems))


def read_variables(environ: Mapping[str, str]) -> dict[str, Entry]:
    """The SDKs' variables that are not empty, by the key they stand for."""
    present = ((key, environ.get(name)) for key, name in VARIABLES.items())
    return {key: Entry(key, text, ENVIRONMENT) for key, text in present if text}


def _read_file(name: str, path: Path, problems: list[Problem]) -> Iterator[tuple[str, Entry]]:
    try:
        yield from read_conf(read_text(str(path)), name)
    except Unreadable as failure:
        problems.append(Problem(name, 0, "", str(failure)))
    except configparser.Error as failure:
        problems.extend(_malformed(failure, name))


def read_conf(text: str, name: str) -> Iterator[tuple[str, Entry]]:
    """The entries of one file that are not empty, each with its section.

    Raises:
        configparser.Error: malformed; its text quotes the file.
    """
    # [DEFAULT] is magic to python-ovh alone; a name that no section can have turns it off.
    parser = configparser.RawConfigParser(default_section="]")
    parser.read_string(text)
    lines = _lines(text)
    for section in parser.sections():
        for key, value in parser.items(section):
            if cleaned := _clean(value):
                line = lines.get((section, key), 0)
                yield section, Entry(key, cleaned, name, line, is_here=name == "./ovh.conf")


def _clean(value: str) -> str:
    # go-ovh takes quotes and comments off, python-ovh does not; no key has either.
    bare = re.sub(r"(^|\s+)[;#].*", "", value)
    quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'"
    return bare[1:-1] if quoted else bare


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Where each key stands, which configparser does not tell."""
    section = ""
    lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := configparser.RawConfigParser.SECTCRE.match(line):
            section = header["header"]
        elif option := configparser.RawConfigParser.OPTCRE.match(line):
            lines.setdefault((section, option["option"].strip().lower()), number)
    return lines


def _malformed(failure: configparser.Error, name: str) -> Iterator[Problem]:
    reasons = {
        configparser.DuplicateSectionError: "this section is there twice; make them one",
        configparser.DuplicateOptionError: "this key is there twice in its section; keep one",
        configparser.MissingSectionHeaderError: "comes before any [section]; add its header",
    }
    reason = reasons.get(type(failure), "is neither [section] nor key = value; correct the line")
    errors = getattr(failure, "errors", [(getattr(failure, "lineno", 0), "")])
    for line, _ in errors:
        yield Problem(name, line or 0, "", reason)
