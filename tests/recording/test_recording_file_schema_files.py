import json
from pathlib import Path

import pytest

from ovh_proxy.core.errors import UsageError
from ovh_proxy.recording.recording_file import SchemaFiles


def _section(*templates: str) -> str:
    return json.dumps({"apis": [{"path": path, "operations": [{}]} for path in templates]})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Sections of both versions, and an index."""
    (tmp_path / "domain").mkdir()
    (tmp_path / "v2").mkdir()
    (tmp_path / "index.json").write_text(json.dumps({"apis": [{"path": "/me"}]}))
    (tmp_path / "me.json").write_text(_section("/me", "/me/bill/{id}"))
    (tmp_path / "domain.json").write_text(_section("/domain/{name}"))
    (tmp_path / "domain" / "zone.json").write_text(_section("/domain/zone/{name}/record"))
    (tmp_path / "v2" / "iam.json").write_text(_section("/iam/policy/{id}"))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "rest", "pattern"),
    [
        ("/me/bill/word", "/me/bill/word", "/me/bill/*"),
        ("/domain/zone/word/record", "/domain/zone/word/record", "/domain/zone/*/record"),
        ("/domain/word", "/domain/word", "/domain/*"),
        ("/v2/iam/policy/word", "/iam/policy/word", "/iam/policy/*"),
    ],
)
def test_a_path_finds_its_section(directory: Path, path: str, rest: str, pattern: str) -> None:
    templates = SchemaFiles(str(directory)).find(path)

    assert templates is not None
    assert templates.pattern(rest) == pattern


@pytest.mark.parametrize("path", ["/", "/iam/policy/1", "/me/unknown", "/index", "/../me"])
def test_a_path_without_a_section_has_none(directory: Path, path: str) -> None:
    assert SchemaFiles(str(directory)).find(path) is None


def test_a_section_is_read_once(directory: Path) -> None:
    files = SchemaFiles(str(directory))
    files.find("/me")
    (directory / "me.json").write_text("changed")

    assert files.find("/me") is not None


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"{}", "not a file of the API schema"), (b"\xff", "UTF-8"), (None, "directory")],
)
def test_an_invalid_schema_file_is_named(tmp_path: Path, content: bytes | None, what: str) -> None:
    cursor = tmp_path / "me.json"
    if content is None:
        cursor.mkdir()
    else:
        cursor.write_bytes(content)

    with pytest.raises(UsageError, match=rf"me\.json .*{what}"):
        SchemaFiles(str(tmp_path)).find("/me/bill")


def test_a_missing_directory_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a directory"):
        SchemaFiles(str(tmp_path / "nowhere"))
