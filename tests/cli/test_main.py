import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.command import environment
from support.ended import Ask

from ovh_proxy import __version__
from ovh_proxy.cli.main import COMMANDS, cli

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
async def test_every_command_explains_itself(ask: Ask, command: str, flag: str) -> None:
    ended = await ask(*command.split(), flag)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: ovh-proxy {command}".rstrip())


async def test_version_is_printed(ask: Ask) -> None:
    ended = await ask("--version")

    assert (ended.code, ended.out) == (0, f"ovh-proxy, version {__version__}\n")


async def test_without_a_command_it_lists_the_commands_and_exits_with_2(ask: Ask) -> None:
    ended = await ask()

    assert (ended.code, ended.out) == (2, "")
    assert all(re.search(rf"^  {name} ", ended.err, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(
    ("line", "message", "help_of"),
    [
        ("nosuch", f"unknown command 'nosuch'; use {', '.join([*COMMANDS][:-1])} or ca", ""),
        ("chek", "unknown command 'chek'; did you mean 'check'?", ""),
        ("--nosuch", "unknown flag '--nosuch'", ""),
        ("run --profil a", "unknown flag '--profil'; did you mean '--profile'?", "run "),
        ("sign GET", "missing argument PATH", "sign "),
        ("completion", "missing argument SHELL", "completion "),
        ("run --workers", "--workers: requires an argument", ""),
        ("sign GET /me /bill", "got unexpected extra argument (/bill)", "sign "),
        (
            "sign --timestamp soon GET /me",
            "--timestamp: 'soon' is not a valid integer range",
            "sign ",
        ),
        ("run --workers none", "--workers: 'none' is not a valid integer range", "run "),
        (
            "run --log-level loud",
            "--log-level: unknown value 'loud'; use debug, info, warning or error",
            "run ",
        ),
        ("run --log-level inf", "--log-level: unknown value 'inf'; did you mean 'info'?", "run "),
        (
            "completion tcsh",
            "SHELL: unknown value 'tcsh'; use bash, zsh or fish",
            "completion ",
        ),
    ],
)
async def test_a_usage_error_is_one_line_with_the_problem_and_the_help_to_read(
    ask: Ask, line: str, message: str, help_of: str
) -> None:
    ended = await ask(*line.split())

    assert (ended.code, ended.out) == (2, "")
    see = " See" if message.endswith("?") else "; see"
    assert ended.err == f"ovh-proxy: {message}{see} ovh-proxy {help_of}--help\n"


def _flags() -> list[tuple[str, click.Option]]:
    context = click.Context(cli)
    return [
        (name, flag)
        for name in COMMANDS
        for flag in cli.get_command(context, name).params
        if isinstance(flag, click.Option)
    ]


# click splits variables of repeated flags at spaces, and every rule has a space.
_WITHOUT = {"--rule"}
# config/sources.py reads these two variables.
_ELSEWHERE = {"credentials": "OVH_PROXY_CREDENTIALS", "config": "OVH_PROXY_CONFIG"}


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_flag_has_a_variable_that_its_help_names(ask: Ask, name: str) -> None:
    flags = [flag for of, flag in _flags() if of == name and flag.opts[0] not in _WITHOUT]

    help_text = re.sub(r"\s+", " ", (await ask(name, "--help")).out)

    for flag in flags:
        variable = _ELSEWHERE.get(str(flag.name), str(flag.envvar))
        assert re.fullmatch(r"OVH_PROXY_[A-Z_]+", variable)
        assert f"[env var: {variable}" in help_text


async def test_no_variable_has_two_meanings() -> None:
    meanings: dict[str, set[str]] = {}
    for _, flag in _flags():
        if flag.envvar is not None:
            meanings.setdefault(str(flag.envvar), set()).add(flag.opts[0])

    assert {variable for variable, means in meanings.items() if len(means) > 1} == set()


async def test_an_error_names_the_variable_that_was_set_instead_of_the_flag(
    start: Ask, home: Path
) -> None:
    ended = await start("sign", "GET", "/me", OVH_PROXY_SIGN_TIMESTAMP="soon")

    assert ended.code == 2
    assert ended.err.startswith("ovh-proxy: OVH_PROXY_SIGN_TIMESTAMP: 'soon' is not a valid")


async def test_a_closed_pipe_is_no_error(home: Path) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m ovh_proxy demo --once | head -1",
        cwd=home,
        env=environment(home, OVH_PROXY_DEMO_LISTEN="127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert out.startswith(b"ovh-proxy demo")
    assert err == b""


async def test_ctrl_c_during_a_request_prints_one_line_and_exits_with_130(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        store = home / "credentials.yaml"
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store.write_text(f"profiles: {{a: {{endpoint: '{endpoint}', access_token: x}}}}")
        store.chmod(0o600)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ovh_proxy", "check", "--credentials", str(store)),
            env=environment(home),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        asking, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(silent), 20)

        with asking:
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 20)

    assert (process.returncode, out) == (130, b"")
    assert err.strip() == b"ovh-proxy: interrupted"


async def test_it_works_without_stdout(home: Path) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m ovh_proxy --version >&-",
        env=environment(home),
        stderr=asyncio.subprocess.PIPE,
    )

    _, err = await asyncio.wait_for(process.communicate(), 20)

    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", ["--help", "demo --once", "sandbox --listen 127.0.0.1:0", "completion bash"]
)
async def test_unwritable_output_is_one_line_and_exit_code_1(home: Path, arguments: str) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m ovh_proxy {arguments} > /dev/full",
        cwd=home,
        env=environment(home, OVH_PROXY_DEMO_LISTEN="127.0.0.1:0"),
        stderr=asyncio.subprocess.PIPE,
    )

    _, err = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert err.decode() == "ovh-proxy: cannot write the output: No space left on device\n"


async def test_an_ascii_terminal_gets_escapes(start: Ask) -> None:
    ended = await start(
        "demo", "--once", OVH_PROXY_DEMO_LISTEN="127.0.0.1:0", PYTHONIOENCODING="ascii"
    )

    assert (ended.code, ended.err) == (0, "")
    assert "Zo\\xe9" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_every_shell_has_a_completion_script(ask: Ask, shell: str) -> None:
    ended = await ask("completion", shell)

    assert ended.code == 0
    assert f"_OVH_PROXY_COMPLETE={shell}_complete" in ended.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
async def test_the_completion_script_for_bash_is_valid_bash(ask: Ask) -> None:
    script = (await ask("completion", "bash")).out

    checked = await asyncio.to_thread(
        subprocess.run, ["bash", "-n"], input=script.encode(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "position", "offered"),
    [
        ("ovh-proxy ", "1", list(COMMANDS)),
        ("ovh-proxy ch", "1", ["check"]),
        ("ovh-proxy check --off", "2", ["--offline"]),
        ("ovh-proxy run --log-level de", "3", ["debug"]),
    ],
)
async def test_commands_flags_and_values_are_completed(
    start: Ask, words: str, position: str, offered: list[str]
) -> None:
    ended = await start(_OVH_PROXY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=position)

    assert ended.out.split() == [f"plain,{word}" for word in offered]
