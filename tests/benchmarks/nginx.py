"""nginx: found, given a configuration, run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.processes import child, wait_for_port

MODULE_PLACES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/etc/nginx/modules")
INSTALL = "nginx is missing: apt-get install nginx-light"


@cache
def program() -> str | None:
    """Where nginx is; also where a user's PATH does not lead."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@cache
def version() -> str:
    """What `nginx -V` says of it."""
    nginx = program()
    if nginx is None:
        return ""
    said = subprocess.run([nginx, "-V"], capture_output=True, text=True, timeout=10, check=False)
    return said.stderr


@cache
def load_modules(*names: str) -> str | None:
    """The lines that load these modules, None where one is missing.

    Args:
        names: `ngx_http_lua_module`, …
    """
    told = version()
    places = [word.partition("=")[2] for word in told.split() if word.startswith("--modules-path=")]
    lines = []
    for name in names:
        files = (Path(place) / f"{name}.so" for place in (*places, *MODULE_PLACES))
        file = next((file for file in files if file.exists()), None)
        if file is None:
            return None
        lines.append(f"load_module {file};")
    return "\n".join(lines)


@contextmanager
def nginx(text: str, port: int, core: int, home: Path) -> Iterator[int]:
    """Runs it with that configuration until the end of the block; gives its process id."""
    configuration = home / "nginx.conf"
    # Started by root, its workers would become somebody who may not enter this directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration.write_text(user + text)
    log = home / "nginx.log"
    command: list[str | Path] = [str(program()), "-p", home, "-c", configuration, "-e", log]
    with child(command, core, home, log=log) as process:
        wait_for_port(port, process, log)
        yield process.pid
