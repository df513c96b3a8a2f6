"""The machine and the program versions of a run, without host names and paths."""

import importlib.metadata
import os
import platform
import re
import ssl
import subprocess
from collections.abc import Collection
from pathlib import Path

from benchmarks import nginx
from benchmarks.bench import Bench
from benchmarks.other_contenders import mitmdump

PACKAGES = ("aiohttp", "httptools", "uvloop", "ovh")
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


def describe(bench: Bench, contenders: Collection[str]) -> dict[str, str]:
    """Facts by name. Unknown facts are omitted."""
    facts = {
        "processor": _processor(),
        "cores": f"{os.cpu_count()}; the contender on one, load and upstream on another",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "nginx": _first_version(nginx.version()),
        "wrk": _first_version(_output_of("wrk", "--version")),
        "curl": _first_version(_output_of("curl", "--version")),
        "OpenSSL of Python": _first_version(ssl.OPENSSL_VERSION),
    }
    if "mitmproxy" in contenders:
        facts["mitmproxy"] = _first_version(_output_of(str(mitmdump(bench)), "--version"))
    if bench.proxy_core == bench.load_core:
        facts["cores"] = f"{os.cpu_count()}; contender, load and upstream on the same core"
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


def _output_of(*command: str) -> str:
    """The output of a program; empty if the program is missing."""
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return finished.stdout + finished.stderr


def _first_version(text: str) -> str:
    match = _VERSION.search(text)
    return match[0] if match else ""
