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


async def test_it_tells_its_version(ask: Ask) -> None:
    ended = await ask("--version")

    assert (ended.code, ended.out) == (0, f"ovh-proxy, version {__version__}\n")


async def test_alone_it_shows_its_commands_and_ends_with_2(ask: Ask) -> None:
    ended = await ask()

    assert (ended.code, ended.out) == (2, "")
    assert all(re.search(rf"^  {name} ", ended.err, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(
    ("line", "named", "help_of"),
    [
        ("nosuch", "'nosuch'", ""),
        ("--nosuch", "'--nosuch'", ""),
        ("sign GET", "'PATH'", "sign "),
        ("sign --timestamp soon GET /me", "'--timestamp'", "sign "),
        ("run --workers none", "'--workers'", "run "),
        ("run --log-level loud", "'--log-level'", "run "),
        ("completion tcsh", "'tcsh'", "completion "),
    ],
)
async def test_a_usage_error_is_one_line_that_names_what_is_wrong_and_where_to_read(
    ask: Ask, line: str, named: str, help_of: str
) -> None:
    ended = await ask(*line.split())

    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(
        rf"ovh-proxy: .*{re.escape(named)}.*; see ovh-proxy {help_of}--help\n", ended.err
    )


def _flags() -> list[tuple[str, click.Option]]:
    context = click.Context(cli)
    return [
        (name, flag)
        for name in COMMANDS
        for flag in cli.get_command(context, name).params
        if isinstance(flag, click.Option)
    ]


# A variable of several values is split at spaces, and there is one in every rule.
_WITHOUT = {"--rule"}
# Where the files are looked for, these two variables are read and their problems told.
_ELSEWHERE = {"credentials": "OVH_PROXY_CREDENTIALS", "config": "OVH_PROXY_CONFIG"}


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_flag_has_a_variable_that_its_help_names(ask: Ask, name: str) -> None:
    flags = [flag for of, flag in _flags() if of == name and flag.opts[0] not in _WITHOUT]

    said = re.sub(r"\s+", " ", (await ask(name, "--help")).out)

    for flag in flags:
        variable = _ELSEWHERE.get(str(flag.name), str(flag.envvar))
        assert re.fullmatch(r"OVH_PROXY_[A-Z_]+", variable)
        assert f"[env var: {variable}" in said


async def test_no_variable_means_two_things() -> None:
    meanings: dict[str, set[str]] = {}
    for _, flag in _flags():
        if flag.envvar is not None:
            meanings.setdefault(str(flag.envvar), set()).add(flag.opts[0])

    assert {variable for variable, means in meanings.items() if len(means) > 1} == set()


async def test_a_variable_takes_the_place_of_its_flag(start: Ask, home: Path) -> None:
    ended = await start("sign", "GET", "/me", OVH_PROXY_SIGN_TIMESTAMP="soon")

    assert ended.code == 2
    assert "OVH_PROXY_SIGN_TIMESTAMP" in ended.err


async def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
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


async def test_ctrl_c_while_it_waits_is_one_line_and_130(home: Path) -> None:
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


async def test_without_a_standard_output_it_still_works(home: Path) -> None:
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
async def test_an_output_that_cannot_be_written_is_one_line_and_1(
    home: Path, arguments: str
) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m ovh_proxy {arguments} > /dev/full",
        cwd=home,
        env=environment(home, OVH_PROXY_DEMO_LISTEN="127.0.0.1:0"),
        stderr=asyncio.subprocess.PIPE,
    )

    _, err = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert err.decode() == "ovh-proxy: the output cannot be written: No space left on device\n"


async def test_a_terminal_without_accents_gets_escapes(start: Ask) -> None:
    ended = await start(
        "demo", "--once", OVH_PROXY_DEMO_LISTEN="127.0.0.1:0", PYTHONIOENCODING="ascii"
    )

    assert (ended.code, ended.err) == (0, "")
    assert "Zo\\xe9" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_each_shell_gets_its_completion_script(ask: Ask, shell: str) -> None:
    ended = await ask("completion", shell)

    assert ended.code == 0
    assert f"_OVH_PROXY_COMPLETE={shell}_complete" in ended.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
async def test_bashs_completion_script_is_bash(ask: Ask) -> None:
    script = (await ask("completion", "bash")).out

    checked = await asyncio.to_thread(
        subprocess.run, ["bash", "-n"], input=script.encode(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "place", "offered"),
    [
        ("ovh-proxy ", "1", list(COMMANDS)),
        ("ovh-proxy ch", "1", ["check"]),
        ("ovh-proxy check --off", "2", ["--offline"]),
        ("ovh-proxy run --log-level de", "3", ["debug"]),
    ],
)
async def test_a_shell_is_offered_commands_flags_and_values(
    start: Ask, words: str, place: str, offered: list[str]
) -> None:
    ended = await start(_OVH_PROXY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=place)

    assert ended.out.split() == [f"plain,{word}" for word in offered]
