"""The contenders that are nginx: passing, and signing in Lua or JavaScript."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import keys, nginx_texts
from benchmarks.nginx import INSTALL, load_modules, nginx, program
from benchmarks.place import Place
from benchmarks.processes import free_port
from benchmarks.running import Running
from benchmarks.upstream import scheme

LUA = ("ndk_http_module", "ngx_http_lua_module")
NJS = ("ngx_http_js_module",)


def missing_nginx(place: Place) -> str | None:
    return None if program() else INSTALL


def missing_lua(place: Place) -> str | None:
    if program() and load_modules(*LUA) is not None:
        return None
    return "nginx with Lua is missing: apt-get install nginx-light libnginx-mod-http-lua"


def missing_njs(place: Place) -> str | None:
    if program() and load_modules(*NJS) is not None:
        return None
    return "nginx with njs is missing: apt-get install nginx-light libnginx-mod-http-js"


def nginx_proxy_pass(place: Place, flavour: str) -> AbstractContextManager[Running]:
    return _nginx(place, flavour, place.directory("nginx"))


def nginx_lua(place: Place, flavour: str) -> AbstractContextManager[Running]:
    signer = nginx_texts.LUA_SIGNER.substitute(_keys(place, flavour))
    load = load_modules(*LUA) or ""
    home = place.directory("nginx-lua")
    return _nginx(place, flavour, home, load, nginx_texts.LUA_TOP, signer)


def nginx_njs(place: Place, flavour: str) -> AbstractContextManager[Running]:
    home = place.directory("nginx-njs")
    values = _keys(place, flavour)
    (home / "signer.js").write_text(nginx_texts.NJS_SCRIPT.substitute(values))
    top = nginx_texts.NJS_TOP.substitute(home=home)
    signer = nginx_texts.NJS_SIGNER.substitute(values)
    return _nginx(place, flavour, home, load_modules(*NJS) or "", top, signer)


def _keys(place: Place, flavour: str) -> dict[str, str]:
    return {
        "secret": keys.APPLICATION_SECRET,
        "consumer_key": keys.CONSUMER_KEY,
        "application_key": keys.APPLICATION_KEY,
        "base": place.upstream.origin(flavour),
    }


@contextmanager
def _nginx(
    place: Place, flavour: str, home: Path, load: str = "", top: str = "", signer: str = ""
) -> Iterator[Running]:
    port = free_port()
    text = nginx_texts.PROXY_PASS.substitute(
        home=home,
        port=port,
        load=load,
        top=top,
        signer=signer,
        scheme=scheme(flavour),
        authority=place.upstream.authority(flavour),
        ca_file=place.upstream.ca_file,
    )
    began = time.perf_counter()
    with nginx(text, port, place.proxy_core, home) as pid:
        yield Running(f"http://127.0.0.1:{port}", pid, time.perf_counter() - began)
