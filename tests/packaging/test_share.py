"""Tests that the manual page and the completion scripts are up to date and well-formed."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from support.tools import PATH, said_by, tool

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "config/share"
FILES = sorted(path.relative_to(SHARE) for path in SHARE.rglob("*") if path.is_file())
MANUAL = SHARE / "man/man1/ovh-proxy.1"
BASH = SHARE / "bash-completion/completions/ovh-proxy"
ZSH = SHARE / "zsh/site-functions/_ovh-proxy"
FISH = SHARE / "fish/vendor_completions.d/ovh-proxy.fish"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `make share`."""
    found = re.search(
        r"^click==([\d.]+)", (ROOT / "requirements-lock.txt").read_text(), re.MULTILINE
    )
    if found is None or found[1] != version("click"):
        pytest.skip("the scripts depend on the version of click in requirements-lock.txt")
    folder = tmp_path_factory.mktemp("share")
    subprocess.run(
        [sys.executable, ROOT / "tests/packaging/make_share.py", folder], check=True, timeout=60
    )
    return folder


def test_there_is_a_manual_and_a_completion_for_each_shell(made: Path) -> None:
    names = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())

    assert names == FILES


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_files_are_up_to_date(made: Path, file: Path) -> None:
    assert (made / file).read_text() == (SHARE / file).read_text(), "run: make share"


def test_the_manual_is_well_formed() -> None:
    result = said_by(tool("groff"), "-man", "-ww", "-Tutf8", "-z", MANUAL)

    assert result.stdout == ""


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)], ids=["bash", "zsh", "fish"]
)
def test_the_script_is_valid_for_its_shell(shell: str, file: Path) -> None:
    result = said_by(tool(shell), "-n", file)

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("words", "completion"), [("ch", "check"), ("run --adm", "--admin-listen")]
)
def test_bash_completes(words: str, completion: str) -> None:
    line = f"ovh-proxy {words}".split()
    script = (
        f"source {BASH}; COMP_WORDS=({' '.join(line)}); COMP_CWORD={len(line) - 1};"
        'COMPREPLY=(); _ovh_proxy_completion ovh-proxy; echo "${COMPREPLY[@]}"'
    )

    result = said_by(tool("bash"), "--norc", "-c", script, PATH=PATH)

    assert result.stdout == f"{completion}\n"


def test_fish_completes(tmp_path: Path) -> None:
    script = f"source {FISH}; complete --do-complete 'ovh-proxy ch'"

    result = said_by(tool("fish"), "--no-config", "-c", script, PATH=PATH, HOME=os.fspath(tmp_path))

    assert result.stdout.startswith("check\t")


def test_zsh_finds_its_script(tmp_path: Path) -> None:
    script = (
        f"fpath=({ZSH.parent} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump;"
        "echo $_comps[ovh-proxy]"
    )

    result = said_by(tool("zsh"), "-f", "-c", script)

    assert result.stdout == f"{ZSH.name}\n"
