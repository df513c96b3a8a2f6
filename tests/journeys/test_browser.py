"""A page of another site in a real browser tries everything that a page can do."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.running import RunningProxy

from ovh_proxy.sandbox.api import Sandbox

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]

# Every way for a page to send a request, and what its script could see.
PAGE = """<!doctype html><title>another site</title><body><script>
const settled = (element, done, failed) => new Promise(end => {
  element[done] = () => end('loaded'); element[failed] = () => end('failed');
  setTimeout(() => end('nothing'), 3000);
});
const ways = {
  cors: async base => (await fetch(base + '/me')).text(),
  credentials: async base => (await fetch(base + '/me', {credentials: 'include'})).text(),
  opaque: async base => (await fetch(base + '/me', {mode: 'no-cors'})).text(),
  simple_post: async base =>
    (await fetch(base + '/sandbox/echo', {method: 'POST', mode: 'no-cors', body: '{}'})).text(),
  preflighted: async base => (await fetch(base + '/sandbox/echo',
    {method: 'PUT', headers: {'Content-Type': 'application/json'}, body: '{}'})).text(),
  own_routes: async base => (await fetch(base + '/-/profiles')).text(),
  image: async base => {
    const image = new Image(); image.src = base + '/me';
    return settled(image, 'onload', 'onerror');
  },
  script: async base => {
    const script = document.createElement('script'); script.src = base + '/me';
    document.body.append(script);
    return settled(script, 'onload', 'onerror');
  },
  frame: async base => {
    const frame = document.createElement('iframe'); frame.src = base + '/me';
    document.body.append(frame);
    await settled(frame, 'onload', 'onerror');
    try { return frame.contentDocument.body.innerText; } catch (refused) { return ''; }
  },
  form: async base => {
    const frame = document.createElement('iframe'); frame.name = 'target' + Math.random();
    const form = document.createElement('form');
    Object.assign(form, {method: 'post', enctype: 'text/plain', target: frame.name,
                         action: base + '/sandbox/echo'});
    document.body.append(frame, form);
    form.submit();
    return settled(frame, 'onload', 'onerror');
  },
  beacon: async base => String(navigator.sendBeacon(base + '/sandbox/echo', '{}')),
  socket: async base => {
    const socket = new WebSocket(base.replace('http', 'ws') + '/me');
    return settled(socket, 'onopen', 'onerror');
  },
};
(async () => {
  const seen = {};
  for (const base of BASES) {
    seen[base] = {};
    await Promise.all(Object.entries(ways).map(async ([name, way]) => {
      const late = new Promise(end => setTimeout(() => end('late'), 5000));
      try { seen[base][name] = await Promise.race([way(base), late]); }
      catch (refused) { seen[base][name] = ''; }
    }));
  }
  await fetch('/report', {method: 'POST', body: JSON.stringify(seen)});
})();
</script>"""
WAYS = 12


@asynccontextmanager
async def site(bases: list[str]) -> AsyncIterator[tuple[str, asyncio.Future[dict[str, Any]]]]:
    """A site whose page attacks some addresses and reports what it saw."""
    reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def page(_: web.Request) -> web.Response:
        text = PAGE.replace("BASES", json.dumps(bases))
        return web.Response(text=text, content_type="text/html")

    async def report(request: web.Request) -> web.Response:
        reported.set_result(json.loads(await request.text()))
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/", page), web.post("/report", report)])
    async with _serving(application) as port:
        yield f"http://site.example:{port}/", reported


@asynccontextmanager
async def unguarded() -> AsyncIterator[tuple[str, list[str]]]:
    """An unprotected local server, to measure what a page can do at all."""
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(f"{request.method} {request.path}")
        return web.json_response({"reached": True}, headers={"Access-Control-Allow-Origin": "*"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with _serving(application) as port:
        yield f"http://127.0.0.1:{port}", reached


@asynccontextmanager
async def _serving(application: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def browse(url: str, home: Path, reported: asyncio.Future[dict[str, Any]]) -> dict[str, Any]:
    """Opens the page in a browser, and returns its report."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={home}",
        # Names of other sites resolve to this machine, as after DNS rebinding.
        "--host-resolver-rules=MAP *.example 127.0.0.1",
        "--remote-debugging-port=0",
        url,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await asyncio.wait_for(reported, 60)
    finally:
        browser.kill()
        await browser.wait()


async def test_no_page_of_another_site_reaches_ovhcloud_or_reads_a_response(
    proxy: RunningProxy, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = proxy.url.rpartition(":")[2]
    guarded = [
        proxy.url,
        f"http://localhost:{port}",
        f"http://rebound.example:{port}",
        f"http://app.localhost:{port}",
    ]
    async with unguarded() as (control, reached), site([control, *guarded]) as (page, reported):
        seen = await browse(page, tmp_path, reported)

    # The page could do all of it to an unprotected server …
    assert len(reached) >= WAYS
    assert "reached" in seen[control]["cors"]
    # … and none of it to the proxy.
    assert not [r for r in sandbox.requests if not r.target.endswith(b"/auth/time")]
    for base in guarded:
        readable = {way: text for way, text in seen[base].items() if "{" in text}
        assert not readable, base
        assert seen[base]["socket"] != "loaded"


async def test_a_page_opened_under_a_rebound_name_shows_nothing(
    proxy: RunningProxy, sandbox: Sandbox, tmp_path: Path
) -> None:
    port = proxy.url.rpartition(":")[2]

    page = await dump(f"http://rebound.example:{port}/me", tmp_path)

    assert "HOST_REFUSED" in page
    assert not [r for r in sandbox.requests if r.target == b"/1.0/me"]


async def dump(url: str, home: Path) -> str:
    """Opens an address in a browser, and returns what it shows."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        f"--user-data-dir={home}",
        "--host-resolver-rules=MAP *.example 127.0.0.1",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(browser.communicate(), 60)
    return out.decode()
