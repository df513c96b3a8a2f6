import gc
from collections.abc import Iterator

import pytest

from ovh_proxy.cli.imports import loading


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Gives the objects of this process back to its collector, as it was."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_nothing_is_collected_while_parts_are_loaded() -> None:
    with loading():
        is_collecting = gc.isenabled()

    assert not is_collecting


def test_what_was_loaded_is_never_looked_through_again() -> None:
    made = [{} for _ in range(1000)]

    with loading():
        pass

    assert gc.get_freeze_count() > len(made)


def test_garbage_is_collected_again_afterwards() -> None:
    with loading():
        pass

    assert gc.isenabled()


def test_garbage_is_collected_again_where_nothing_could_be_loaded() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


def test_garbage_is_looked_for_less_often_afterwards() -> None:
    gc.set_threshold(700)

    with loading():
        pass

    assert gc.get_threshold()[0] > 700
