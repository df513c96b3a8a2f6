"""Opens a page in the person's browser, where there is one."""

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping


def has_browser(environ: Mapping[str, str]) -> bool:
    """Whether a browser of its own window can be expected; text browsers would take ours."""
    if sys.platform in ("win32", "darwin"):  # pragma: no cover - they always have one
        return True
    return any(environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Opens a page; whether there was anything to open it with."""
    if not has_browser(os.environ):
        return False
    # Some of them return only once they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return True
