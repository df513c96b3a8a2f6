"""The nginx contenders: without signing, and signing in Lua or JavaScript."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import keys, nginx_texts
from benchmarks.bench import Bench
from benchmarks.nginx import INSTALL, load_modules, nginx, program
from benchmarks.processes import free_port
from benchmarks.running import Running
from benchmarks.upstream import scheme

LUA = ("ndk_http_module", "ngx_http_lua_module")
NJS = ("ngx_http_js_module",)


def missing_nginx(bench: Bench) -> str | None:
    return None if program() else INSTALL


def missing_lua(bench: Bench) -> str | None:
    if program() and load_modules(*LUA) is not None:
        return None
    return "nginx with Lua is missing: apt-get install nginx-light libnginx-mod-http-lua"


def missing_njs(bench: Bench) -> str | None:
    if program() and load_modules(*NJS) is not None:
        return None
    return "nginx with njs is missing: apt-get install nginx-light libnginx-mod-http-js"


def nginx_proxy_pass(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    return _nginx(bench, flavour, bench.directory("nginx"))


def nginx_lua(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    signer = nginx_texts.LUA_SIGNER.substitute(_keys(bench, flavour))
    load = load_modules(*LUA) or ""
    home = bench.directory("nginx-lua")
    return _nginx(bench, flavour, home, load, nginx_texts.LUA_TOP, signer)


def nginx_njs(bench: Bench, flavour: str) -> AbstractContextManager[Running]:
    home = bench.directory("nginx-njs")
    values = _keys(bench, flavour)
    (home / "signer.js").write_text(nginx_texts.NJS_SCRIPT.substitute(values))
    top = nginx_texts.NJS_TOP.substitute(home=home)
    signer = nginx_texts.NJS_SIGNER.substitute(values)
    return _nginx(bench, flavour, home, load_modules(*NJS) or "", top, signer)


def _keys(bench: Bench, flavour: str) -> dict[str, str]:
    return {
        "secret": keys.APPLICATION_SECRET,
        "consumer_key": keys.CONSUMER_KEY,
        "application_key": keys.APPLICATION_KEY,
        "base": bench.upstream.origin(flavour),
    }


@contextmanager
def _nginx(
    bench: Bench, flavour: str, home: Path, load: str = "", top: str = "", signer: str = ""
) -> Iterator[Running]:
    port = free_port()
    text = nginx_texts.PROXY_PASS.substitute(
        home=home,
        port=port,
        load=load,
        top=top,
        signer=signer,
        scheme=scheme(flavour),
        authority=bench.upstream.authority(flavour),
        ca_file=bench.upstream.ca_file,
    )
    began = time.perf_counter()
    with nginx(text, port, bench.proxy_core, home) as pid:
        yield Running(f"http://127.0.0.1:{port}", pid, time.perf_counter() - began)
