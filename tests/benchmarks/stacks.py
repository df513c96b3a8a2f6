"""Sampled stacks, summed by the file in which the time was spent. No I/O."""

import re
from collections import Counter

# `name (path:line)`, the format of a frame in py-spy. The innermost frame comes last.
_FRAME = re.compile(r"^(?P<name>.+) \((?P<path>.+?)(?::\d+)?\)$")
_PACKAGE = re.compile(r".*(?:site-packages|/lib/python[\d.]+)/")
# For these libraries, each file is counted separately. Any other library counts as one.
_BY_FILE = ("aiohttp/", "asyncio/")
_OTHER_THREAD = re.compile(r"thread \([^)]*\): (?!MainThread)")


def shares(text: str, own: str = "ovh_proxy/") -> dict[str, float]:
    """The share of the sampled time per file, by the innermost frame.

    Args:
        text: one stack per line: frames joined by `;`, then a space and the number of samples. The
            first frame may name the thread. Threads other than the main one are ignored, because
            they only wait.
        own: the folder whose files are counted separately.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and not _OTHER_THREAD.match(stack):
            counts[file_of(stack.split(";")[-1], own)] += int(count)
    whole = sum(counts.values())
    return {name: count / whole for name, count in counts.most_common()} if whole else {}


def file_of(frame: str, own: str) -> str:
    """The file of a frame: a path for our own files, the library for others."""
    match = _FRAME.match(frame)
    if match is None:
        return "other"
    path = match["path"].replace("\\", "/")
    if own in path:
        return own + path.rpartition(own)[2]
    if path.startswith("<"):
        return "generated code" if path == "<string>" else path.strip("<>").removeprefix("frozen ")
    inside = _PACKAGE.sub("", path)
    if inside.startswith(_BY_FILE):
        return inside
    return inside.partition("/")[0].removesuffix(".py").removesuffix(".pyx")
