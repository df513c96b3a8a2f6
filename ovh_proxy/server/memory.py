"""Keeps other processes out of this one's memory while it holds keys."""

import ctypes
import sys
from contextlib import suppress

# Source: the manual page of prctl.
_PR_SET_DUMPABLE = 4


def deny_debuggers() -> bool:
    """Forbids debuggers and core dumps, of the same user too; whether the system could be told.

    A program that is executed from here is open again. Root is kept out of nothing.
    """
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    return False  # pragma: no cover - every C library of Linux has it
