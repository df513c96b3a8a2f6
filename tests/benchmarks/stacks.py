"""Sampled stacks, summed up by the place where the time was spent. No I/O."""

import re
from collections import Counter

# `name (path:line)`, as py-spy writes a frame; the innermost stands last.
_FRAME = re.compile(r"^(?P<name>.+) \((?P<path>.+?)(?::\d+)?\)$")
_PACKAGE = re.compile(r".*(?:site-packages|/lib/python[\d.]+)/")
# Of these each file says something; any other library counts as one.
_BY_FILE = ("aiohttp/", "asyncio/")
_OTHER_THREAD = re.compile(r"thread \([^)]*\): (?!MainThread)")


def shares(text: str, own: str = "ovh_proxy/") -> dict[str, float]:
    """Parts of the sampled time by file, the frame that ran counting.

    Args:
        text: a line a stack, frames joined by `;`, then a blank and how often it was seen. The
            first frame may name the thread; others than the main one wait, and do not count.
        own: the folder of which each file counts for itself.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and not _OTHER_THREAD.match(stack):
            counts[place(stack.split(";")[-1], own)] += int(count)
    whole = sum(counts.values())
    return {name: count / whole for name, count in counts.most_common()} if whole else {}


def place(frame: str, own: str) -> str:
    """The file of a frame: our own by its path, others by their library."""
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
