"""Requests per minute over all workers: how long each has to wait for its place."""

MINUTE_S = 60.0


class LeakyBuckets:
    """Leaky buckets; a full one tells how long until it has leaked enough."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], tuple[float, float]] = {}

    def place(self, whose: str, per_minute: int, patience_s: float, now: float) -> float | None:
        """Seconds until a place in the minute, which is taken by that; None where it is too long.

        Args:
            whose: each has a bucket of its own at each rate.
            now: seconds by a steady clock.
        """
        level = self._level(whose, per_minute, now)
        wait = max(0.0, level + 1 - per_minute) * MINUTE_S / per_minute
        if wait > patience_s:
            return None
        self._levels[whose, per_minute] = level + 1, now
        return wait

    def release(self, whose: str, per_minute: int, now: float) -> None:
        """Frees a place that is not used after all."""
        self._levels[whose, per_minute] = max(0.0, self._level(whose, per_minute, now) - 1), now

    def _level(self, whose: str, per_minute: int, now: float) -> float:
        level, then = self._levels.get((whose, per_minute), (0.0, now))
        return max(0.0, level - (now - then) * per_minute / MINUTE_S)
