"""HTTP-proxy mode with several workers, and an authority that is renewed."""

import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.command import write_store
from support.intercepted import say_inside
from support.raw import request
from support.workers import proxy_with_workers, until

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.tls.stored_authority import AuthorityFiles, open_authority

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="several workers are for Linux"),
]


async def test_each_worker_intercepts_with_the_stored_authority(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    host = urlsplit(sandbox.base_url).netloc
    state = tmp_path / ".local" / "state" / "ovh-proxy"
    config = tmp_path / "conf.yaml"
    config.write_text("intercept: true\n")
    text = request("/1.0/me", f"Host: {host}")

    async with proxy_with_workers(
        tmp_path, write_store(tmp_path, sandbox), "--config", config
    ) as proxy:
        url = proxy.command.url
        before = [await say_inside(url, state, host, text) for _ in range(6)]
        open_authority(AuthorityFiles(state), time.time(), renews=True)
        await until(lambda: len(proxy.logged("certificate authority reloaded")) == 2)
        after = [await say_inside(url, state, host, text) for _ in range(6)]

    assert {response.status for response in before + after} == {200}
    assert {r.verdict.split()[0] for r in sandbox.requests if r.target == b"/1.0/me"} == {"signed"}


async def test_an_unusable_authority_is_an_error_before_serving(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    state = tmp_path / ".local" / "state" / "ovh-proxy"
    config = tmp_path / "conf.yaml"
    config.write_text("intercept: true\n")
    files = AuthorityFiles(state)
    open_authority(files, time.time())
    files.private.write_text("no key")

    with pytest.raises(AssertionError, match="ca --renew"):
        async with proxy_with_workers(tmp_path, write_store(tmp_path, sandbox), "--config", config):
            pass
