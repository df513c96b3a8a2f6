"""The file of a recording, read whole and appended to; the API's schema as downloaded beside it."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.target import split_version
from ovh_proxy.recording.api_schema import Templates, read_section, sections_above
from ovh_proxy.recording.calls import RecordedCall, parse_recording

# The largest section is a tenth of it.
_MAX_SECTION_BYTES = 67_108_864


class SchemaFiles:
    """The schema's sections in a directory, each read on first use."""

    def __init__(self, directory: str) -> None:
        """
        Raises:
            UsageError: the directory does not exist.
        """
        if not os.path.isdir(directory):
            raise UsageError(
                f"--schema: {directory} is not a directory; use one that contains me.json"
            )
        self._directory = directory
        self._sections: dict[str, Templates] = {}

    def find(self, path: str) -> Templates | None:
        """The section with a template for a path; None if there is none.

        Args:
            path: as access rules see it, with the version for v2.

        Raises:
            UsageError: a file of the schema cannot be used.
        """
        version, rest = split_version(path)
        base = self._directory + ("/v2" if version == "/v2" else "")
        for section in sections_above(rest):
            templates = self._section(f"{base}{section}.json")
            if templates is not None and templates.pattern(rest) is not None:
                return templates
        return None

    def _section(self, path: str) -> Templates | None:
        if path not in self._sections:
            if not os.path.exists(path):
                return None
            try:
                self._sections[path] = read_section(read_text(path, _MAX_SECTION_BYTES))
            except Unreadable as failure:
                raise UsageError(f"{path} {failure}") from failure
            except ValueError as failure:
                raise UsageError(
                    f"{path} is not a file of the API schema; download it again"
                ) from failure
        return self._sections[path]


# A hundred thousand kinds of calls; the API has some six thousand.
_MAX_RECORDING_BYTES = 16_777_216


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in progress.

    Attributes:
        calls: the calls that the file already contains.
        schema: the API's schema as files; None fetches it from the endpoint.
        max_calls: far more kinds of calls than the API has; beyond that, paths contain
            identifiers that neither schema nor shape generalises.
    """

    path: str
    calls: tuple[RecordedCall, ...] = ()
    schema: SchemaFiles | None = None
    max_calls: int = 10_000


def read_recording(path: str) -> tuple[RecordedCall, ...]:
    """The calls in a file.

    Raises:
        UsageError, ConfigurationError: the file cannot be read or is not a recording.
    """
    try:
        text = read_text(path, _MAX_RECORDING_BYTES)
    except Unreadable as failure:
        raise UsageError(f"{path} {failure}") from failure
    return parse_recording(text, path)


def open_recording(path: str, schema: SchemaFiles | None = None) -> Recording:
    """A recording to append to; creates the file if it does not exist.

    Raises:
        UsageError, ConfigurationError: the file cannot be written or is not a recording.
    """
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(f"{path} is not a regular file; use another file for the recording")
        append_calls(path, ())
    except (OSError, ValueError) as failure:
        raise UsageError(
            f"{path} cannot be written; check the path of the recording and its permissions"
        ) from failure
    return Recording(path, read_recording(path), schema)


def append_calls(path: str, calls: Iterable[RecordedCall]) -> None:
    """Appends lines in a single write, so that several processes can share the file.

    Raises:
        OSError: the file cannot be written.
    """
    with open(path, "a+b", opener=_private) as file:
        lines = "".join(call.to_line() for call in calls).encode()
        if lines and file.tell():
            file.seek(-1, os.SEEK_END)
            # The last line may be incomplete because the disk was full.
            lines = lines if file.read(1) == b"\n" else b"\n" + lines
        file.write(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
