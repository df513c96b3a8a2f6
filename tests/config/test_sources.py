import os
from pathlib import Path

from ovh_proxy.config.sources import Sources


def test_the_defaults_come_from_the_process():
    sources = Sources()

    assert sources.environ == dict(os.environ)
    assert sources.cwd == Path.cwd()
    assert sources.home.is_absolute()
    assert sources.etc == Path("/etc")


def test_a_user_without_home_or_directory_is_supported(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("HOME", "nowhere")
    gone.rmdir()

    sources = Sources()

    assert (sources.home, sources.cwd) == (Path("/"), Path("/"))


def test_the_environment_is_not_shown():
    assert "S3CRET" not in repr(Sources(environ={"KEY": "S3CRET"}))
