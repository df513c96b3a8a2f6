import json
import subprocess
from pathlib import Path

import pytest
from support.tools import tool

from ovh_proxy.cli.client_environment import FORMATS
from ovh_proxy.core.errors import UsageError

TOLD = {"A": "http://u:p@127.0.0.1:1/1.0", "B": """it's "odd" \\ $HOME `id` ;\ttab"""}
PRINT = "import os; print([os.environ.get(name) for name in ('A', 'B', 'GONE')])"


@pytest.mark.parametrize(("shell", "name"), [("sh", "shell"), ("bash", "shell"), ("fish", "fish")])
def test_a_shell_takes_every_value_as_it_is(tmp_path: Path, shell: str, name: str) -> None:
    lines = FORMATS[name](TOLD, ("GONE",))
    (tmp_path / "lines").write_text(lines)

    said = subprocess.run(
        [tool(shell), "-c", f'. {tmp_path / "lines"}; {tool("python3")} -c "$PRINT"'],
        env={"GONE": "S3CRET", "PRINT": PRINT, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == f"{[*TOLD.values(), None]}\n"


def test_powershell_quotes_are_doubled() -> None:
    assert FORMATS["powershell"]({"A": "it's"}, ("GONE",)) == (
        "Remove-Item Env:GONE\n$env:A = 'it''s'"
    )


def test_a_dotenv_file_has_no_quotes() -> None:
    assert FORMATS["dotenv"]({"A": TOLD["A"], "B": "/a/b.pem"}, ("GONE",)) == (
        "A=http://u:p@127.0.0.1:1/1.0\nB=/a/b.pem"
    )


def test_a_dotenv_file_cannot_hold_everything() -> None:
    with pytest.raises(UsageError, match="value of B"):
        FORMATS["dotenv"](TOLD, ())


def test_json_says_what_is_to_go() -> None:
    assert json.loads(FORMATS["json"](TOLD, ("GONE",))) == {**TOLD, "GONE": None}


@pytest.mark.parametrize("name", ["shell", "fish", "powershell"])
@pytest.mark.parametrize("odd", ["OVH_APP_$(id)", "OVH_APP_;id", "OVH_APP_\nid", "OVH_APP_é"])
def test_a_name_that_a_shell_would_run_is_left_alone(name: str, odd: str) -> None:
    assert FORMATS[name]({}, (odd,)) == ""
