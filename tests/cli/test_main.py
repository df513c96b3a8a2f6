import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_support import Ask
from support.command import environment

from ovh_proxy import __version__
from ovh_proxy.cli.main import COMMANDS, cli

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
async def test_every_command_explains_itself(ask: Ask, command: str, flag: str) -> None:
    ended = await ask(*command.split(), flag)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: ovh-proxy {command}".rstrip())
