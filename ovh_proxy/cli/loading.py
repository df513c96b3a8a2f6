"""Parts of the program imported as a whole, without a look for garbage in between."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Collects nothing before the end of the block, and never anything that was there by then.

    Modules, classes and functions stay: to look through them, a dozen times while they are made
    and at times afterwards, takes a tenth of the start and finds nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
