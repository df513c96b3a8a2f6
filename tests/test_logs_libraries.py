"""What Python tells by itself, where a client could choose the words."""

import gc
import sys

import pytest

from ovh_proxy.logs import Log, capture_library_logs


class _Broken:
    """Raises where nobody can catch it."""

    def __del__(self) -> None:
        raise ValueError


@pytest.fixture
def told(monkeypatch, kept_loggers) -> list[object]:
    """What reaches the hook that was there before."""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))
    return told


def test_what_cannot_be_raised_is_told_as_before(told):
    capture_library_logs(Log())
    capture_library_logs(Log())

    _Broken()
    gc.collect()

    assert told == [ValueError]
