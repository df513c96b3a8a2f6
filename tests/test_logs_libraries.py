"""Python's own error output, which may contain a client's input."""

import gc
import sys

import pytest

from ovh_proxy.logs import Log, capture_library_logs


class _Broken:
    """Raises where the error cannot be caught."""

    def __del__(self) -> None:
        raise ValueError


@pytest.fixture
def reported(monkeypatch, kept_loggers) -> list[object]:
    """The errors that reach the previous hook."""
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_type))
    return reported


def test_other_unraisable_errors_reach_the_previous_hook(reported):
    capture_library_logs(Log())
    capture_library_logs(Log())

    _Broken()
    gc.collect()

    assert reported == [ValueError]
