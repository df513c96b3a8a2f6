"""How much of what is free one client may take, where others want some of it too."""

# Precedent: dynamic thresholds of switches that share memory (Choudhury and Hahne, 1998).
_TIMES = 3


def is_fair_share(held: int, wanted: int, free: int) -> bool:
    """Whether one that holds something already may take some more.

    Whoever holds nothing takes what is free; after that, no more than leaves a third of what it
    then holds. So one alone comes to three quarters of all, two to three sevenths each, and
    whoever comes with a first request finds room.
    """
    if wanted > free:
        return False
    return held == 0 or held + wanted <= _TIMES * (free - wanted)
