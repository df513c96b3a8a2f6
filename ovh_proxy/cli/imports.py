"""Parts of the program imported as a whole, without a look for garbage in between."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# How many objects more are made than freed before the next look for garbage; CPython's own word is
# 700. A request leaves no garbage, and the looks took a twentieth of its time.
_LOOK_EVERY = 10_000


@contextmanager
def loading() -> Iterator[None]:
    """Collects nothing before the end of the block, and never anything that was there by then.

    Modules, classes and functions stay: to look through them, a dozen times while they are made
    and at times afterwards, takes a tenth of the start and finds nothing. From then on, looks are
    rarer.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_LOOK_EVERY)
        gc.enable()
