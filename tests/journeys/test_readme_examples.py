"""The README's examples, run exactly as printed."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from support.running import RunningProxy

from ovh_proxy.sandbox.api import Sandbox

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(
    r"^(\S[^\n]*)\n\n```sh example\n(.*?)```", README.read_text(), re.DOTALL | re.MULTILINE
)

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
    ),
]

EXPECTED = (
    r"^Open http://127\.0\.0\.1:\d+/auth/\?credentialToken=\S+ and keep \S+$",
    r"^Welcome \w+$",
    r"(?m)(^\S+ \(\d{4}-\d\d-\d\dT\S+\): \S.* --> https://\S+\n){2,}",
    r"(?m)(^null\n?burst is on for \S+\n){2,}",
    r"(?m)(^\S+ \d+\.\d+\.\d+\.\d+ \S+ \S+\n)+",
)


async def test_all_of_the_original_examples_are_present() -> None:
    assert len(EXAMPLES) == len(EXPECTED)


@pytest.mark.parametrize(
    ("example", "expected"),
    list(zip([script for _, script in EXAMPLES], EXPECTED, strict=True)),
    ids=[title for title, _ in EXAMPLES],
)
async def test_an_example_does_what_it_says(
    proxy: RunningProxy, sandbox: Sandbox, example: str, expected: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        example,
        env={"PATH": os.environ["PATH"], "OVH_PROXY_URL": proxy.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, err.decode()) == (0, "")
    assert re.search(expected, out.decode()), out.decode()
    assert not [r for r in sandbox.requests if r.verdict.startswith("refused")]


async def test_the_example_enables_burst_only_where_it_is_off(
    proxy: RunningProxy, sandbox: Sandbox
) -> None:
    script = EXAMPLES[3][1]
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        env={"PATH": os.environ["PATH"], "OVH_PROXY_URL": proxy.url},
        stdout=asyncio.subprocess.DEVNULL,
    )

    await asyncio.wait_for(process.wait(), 30)

    changed = [r.target for r in sandbox.requests if r.method == "PUT"]
    listed = [r.target for r in sandbox.requests if r.target.count(b"/") == 4]
    assert len(changed) >= 2
    assert len(listed) > len(changed)
