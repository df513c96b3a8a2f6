"""Copies of the files in config/, with the secrets that a user adds to them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.engine import Engine, build, engine_here

from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.settings import Settings
from ovh_proxy.sandbox import grants

CONFIG = Path(__file__).parents[2] / "config"
STORE = f"""\
profiles:
  personal:
    endpoint: http://127.0.0.1:8180/1.0
    application_key: {grants.APPLICATION_KEY}
    application_secret: {grants.APPLICATION_SECRET}
    consumer_key: {grants.CONSUMER_KEY}
"""


@pytest.fixture
def config(tmp_path) -> Path:
    """A copy of config/, as a user would make it."""
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def put(path: Path, text: str) -> Path:
    """Writes a private file."""
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def secrets() -> Any:
    """Writes the files that a user adds: `secrets.store(path)` and `secrets.token(path)`."""
    return SimpleNamespace(
        store=lambda path: put(path, STORE), token=lambda path: put(path, "MadeUpToken\n")
    )


@pytest.fixture
def load(tmp_path) -> Any:
    """Loads a store and settings as `ovh-proxy run` does."""

    def read(store: Path, settings: Path | None = None, **flags: Any) -> Settings:
        return load_settings(
            Sources(
                credentials=str(store),
                config=None if settings is None else str(settings),
                environ={},
                home=tmp_path,
                cwd=tmp_path,
                etc=tmp_path / "etc",
                **flags,
            )
        )

    return read


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The container engine of this machine."""
    with engine_here() as found:
        yield found


@pytest.fixture(scope="session")
def image(engine) -> str:
    """The image of the working tree."""
    return build(engine)


@pytest.fixture
def store(engine, image) -> Iterator[str]:
    """A volume with a store for a sandbox on the proxy's loopback interface."""
    before = len(engine.made)
    yield engine.volume(image, {"credentials.yaml": STORE})
    engine.clean_up(keep=before)
