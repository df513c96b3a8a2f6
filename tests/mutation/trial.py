"""Tests one mutant in a child process."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from types import ModuleType

_MEMORY_BYTES = 2 << 30
_POLL_S = 0.02


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a changed source. All other modules are loaded normally."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, f"<{self._name}, mutated>", "exec"), module.__dict__)  # noqa: S102 - what this file is for


def survives(module: str, source: str, tests: Sequence[str], bound_s: float) -> bool:
    """Whether the tests pass with the changed module. A timeout counts as detected.

    Args:
        module: the name of the module, which must not be imported yet.
        tests: the paths that pytest runs.
    """
    child = os.fork()
    if child == 0:
        code = 1
        # The child must end here in any case. The calling code belongs to the parent.
        with contextlib.suppress(BaseException):
            code = _run(module, source, tests)
        os._exit(code)
    deadline = time.monotonic() + bound_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(_POLL_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(module: str, source: str, tests: Sequence[str]) -> int:
    import pytest

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    sys.meta_path.insert(0, _Mutated(module, source))
    # hypothesis is already imported, and pytest warns about that.
    quiet = "-Wignore::pytest.PytestAssertRewriteWarning"
    options = ("-x", "-q", "-n0", "-pno:cacheprovider", "--hypothesis-seed=0", quiet)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        return int(pytest.main([*options, *tests]))
