"""The API's schema as downloaded: `DIR/me.json`, `DIR/domain/zone.json`, `DIR/v2/iam.json`."""

import os

from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.core.errors import UsageError
from ovh_proxy.recording.api_schema import Templates, read_section, sections_above, split_version

# The largest section is a tenth of it.
_MAX_SECTION_BYTES = 67_108_864


class SchemaFiles:
    """Sections in a directory, each read at first need."""

    def __init__(self, directory: str) -> None:
        """
        Raises:
            UsageError: there is no such directory.
        """
        if not os.path.isdir(directory):
            raise UsageError(f"{directory} is no directory; --schema names one with me.json in it")
        self._directory = directory
        self._sections: dict[str, Templates] = {}

    def find(self, path: str) -> Templates | None:
        """The section that has a template for a path; None when there is none.

        Args:
            path: as access rules are matched against it, with its version for v2.

        Raises:
            UsageError: a file is there and cannot be used.
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
                raise UsageError(f"{path} is no schema of the API; download it again") from failure
        return self._sections[path]
