import gc
from collections.abc import Iterator

import pytest

from ovh_proxy.cli.imports import loading


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Restores the garbage collector of this process."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_garbage_collection_is_off_during_imports() -> None:
    with loading():
        is_collecting = gc.isenabled()

    assert not is_collecting


def test_imported_objects_are_exempt_from_garbage_collection() -> None:
    made = [{} for _ in range(1000)]

    with loading():
        pass

    assert gc.get_freeze_count() > len(made)


def test_garbage_collection_is_on_afterwards() -> None:
    with loading():
        pass

    assert gc.isenabled()


def test_garbage_collection_is_on_after_a_failed_import() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


def test_garbage_collection_is_rarer_afterwards() -> None:
    gc.set_threshold(700)

    with loading():
        pass

    assert gc.get_threshold()[0] > 700
