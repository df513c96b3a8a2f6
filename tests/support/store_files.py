"""A simulated machine to read configuration from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import ConfigurationError, Problem
from ovh_proxy.core.settings import Settings


@dataclass(frozen=True)
class Machine:
    """A home, a working directory and an /etc below a temporary directory."""

    root: Path

    def write(self, name: str, text: str | bytes, mode: int = 0o600) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    def sources(self, **changes: Any) -> Sources:
        context: dict[str, Any] = {
            "environ": {},
            "home": self.root / "home",
            "cwd": self.root / "cwd",
            "etc": self.root / "etc",
        }
        return Sources(**(context | changes))

    def load(self, **changes: Any) -> Settings:
        return load_settings(self.sources(**changes))

    def problems(self, **changes: Any) -> tuple[Problem, ...]:
        with pytest.raises(ConfigurationError) as caught:
            self.load(**changes)
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return caught.value.problems


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty machine whose files and variables the test chooses."""
    (tmp_path / "cwd").mkdir()
    return Machine(tmp_path)
