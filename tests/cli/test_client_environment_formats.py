import json
import subprocess
from pathlib import Path

import pytest
from support.tools import tool

from ovh_proxy.cli.client_environment import FORMATS
from ovh_proxy.core.errors import UsageError

ASSIGNED = {"A": "http://u:p@127.0.0.1:1/1.0", "B": """it's "odd" \\ $HOME `id` ;\ttab"""}
PRINT = "import os; print([os.environ.get(name) for name in ('A', 'B', 'GONE')])"


@pytest.mark.parametrize(("shell", "name"), [("sh", "shell"), ("bash", "shell"), ("fish", "fish")])
def test_a_shell_reads_every_value_unchanged(tmp_path: Path, shell: str, name: str) -> None:
    lines = FORMATS[name](ASSIGNED, ("GONE",))
    (tmp_path / "lines").write_text(lines)

    printed = subprocess.run(
        [tool(shell), "-c", f'. {tmp_path / "lines"}; {tool("python3")} -c "$PRINT"'],
        env={"GONE": "S3CRET", "PRINT": PRINT, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert printed.stdout == f"{[*ASSIGNED.values(), None]}\n"


def test_powershell_doubles_quotes() -> None:
    assert FORMATS["powershell"]({"A": "it's"}, ("GONE",)) == (
        "Remove-Item Env:GONE\n$env:A = 'it''s'"
    )


def test_a_dotenv_file_has_no_quotes() -> None:
    assert FORMATS["dotenv"]({"A": ASSIGNED["A"], "B": "/a/b.pem"}, ("GONE",)) == (
        "A=http://u:p@127.0.0.1:1/1.0\nB=/a/b.pem"
    )


def test_a_dotenv_file_cannot_hold_everything() -> None:
    with pytest.raises(UsageError, match="value of B"):
        FORMATS["dotenv"](ASSIGNED, ())


def test_a_token_that_a_dotenv_file_cannot_hold_is_not_in_the_error() -> None:
    with pytest.raises(UsageError) as caught:
        FORMATS["dotenv"]({"OVH_ACCESS_TOKEN": "S3CRET$"}, ())

    assert "S3CRET" not in str(caught.value)


def test_in_json_a_variable_to_unset_is_null() -> None:
    assert json.loads(FORMATS["json"](ASSIGNED, ("GONE",))) == {**ASSIGNED, "GONE": None}


@pytest.mark.parametrize("name", ["shell", "fish", "powershell"])
@pytest.mark.parametrize("odd", ["OVH_APP_$(id)", "OVH_APP_;id", "OVH_APP_\nid", "OVH_APP_é"])
def test_a_name_that_a_shell_could_run_is_skipped(name: str, odd: str) -> None:
    assert FORMATS[name]({}, (odd,)) == ""
