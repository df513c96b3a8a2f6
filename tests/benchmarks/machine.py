"""What was measured on, and with which versions: no names of hosts, no paths."""

import importlib.metadata
import os
import platform
import re
import ssl
import subprocess
from collections.abc import Collection
from pathlib import Path

from benchmarks import nginx
from benchmarks.other_contenders import mitmdump
from benchmarks.place import Place

PACKAGES = ("aiohttp", "httptools", "uvloop", "ovh")
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


def describe(place: Place, contenders: Collection[str]) -> dict[str, str]:
    """Facts by name, without those that cannot be known."""
    facts = {
        "processor": _processor(),
        "cores": f"{os.cpu_count()}; the contender on one, load and upstream on another",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "nginx": _first_version(nginx.version()),
        "wrk": _first_version(_said("wrk", "--version")),
        "curl": _first_version(_said("curl", "--version")),
        "OpenSSL of Python": _first_version(ssl.OPENSSL_VERSION),
    }
    if "mitmproxy" in contenders:
        facts["mitmproxy"] = _first_version(_said(str(mitmdump(place)), "--version"))
    if place.proxy_core == place.load_core:
        facts["cores"] = f"{os.cpu_count()}; contender, load and upstream on one and the same"
    return {name: fact for name, fact in (facts | _packages()).items() if fact}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _said(*command: str) -> str:
    """What a program says of itself; empty where it is missing."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return said.stdout + said.stderr


def _first_version(text: str) -> str:
    match = _VERSION.search(text)
    return match[0] if match else ""
