"""docs/deployment.md names existing files."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
TEXT = PAGE.read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\]\((\.\./[^)#]+)\)", TEXT)))
APPLIED = sorted(set(re.findall(r"kubectl apply -k (\S+)", TEXT)))
PROSE = [
    line for line in re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL).splitlines() if "|" not in line
]


@pytest.mark.parametrize("link", LINKS)
def test_links_are_valid(link):
    assert (PAGE.parent / link).exists()


@pytest.mark.parametrize("folder", APPLIED)
def test_applied_files_exist(folder):
    assert (PAGE.parents[1] / folder).is_dir()


def test_every_folder_of_config_is_mentioned():
    folders = [path.name for path in (PAGE.parents[1] / "config").iterdir() if path.is_dir()]

    assert [name for name in folders if f"config/{name}" not in TEXT] == []


def test_prose_is_one_sentence_a_line():
    assert [line for line in PROSE if re.search(r"[a-z0-9`)][.?!] [A-Z`\[]", line)] == []
