"""Finds nginx, writes its configuration, and runs it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.processes import child, wait_for_port

MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/etc/nginx/modules")
INSTALL = "nginx is missing: apt-get install nginx-light"


@cache
def program() -> str | None:
    """The path of nginx; also searches directories that are not in a user's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@cache
def version() -> str:
    """The output of `nginx -V`."""
    nginx = program()
    if nginx is None:
        return ""
    finished = subprocess.run(
        [nginx, "-V"], capture_output=True, text=True, timeout=10, check=False
    )
    return finished.stderr


@cache
def load_modules(*names: str) -> str | None:
    """The `load_module` lines for these modules, None if one is missing.

    Args:
        names: `ngx_http_lua_module`, …
    """
    words = version().split()
    folders = [word.partition("=")[2] for word in words if word.startswith("--modules-path=")]
    lines = []
    for name in names:
        files = (Path(folder) / f"{name}.so" for folder in (*folders, *MODULE_FOLDERS))
        file = next((file for file in files if file.exists()), None)
        if file is None:
            return None
        lines.append(f"load_module {file};")
    return "\n".join(lines)


@contextmanager
def nginx(text: str, port: int, core: int, home: Path) -> Iterator[int]:
    """Runs nginx until the end of the block, and yields its process id."""
    configuration = home / "nginx.conf"
    # When started as root, its workers would switch to a user that cannot enter this directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration.write_text(user + text)
    log = home / "nginx.log"
    command: list[str | Path] = [str(program()), "-p", home, "-c", configuration, "-e", log]
    with child(command, core, home, log=log) as process:
        wait_for_port(port, process, log)
        yield process.pid
