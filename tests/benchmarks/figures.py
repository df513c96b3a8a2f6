"""The raw figures of a run, and their medians and ratios. No I/O."""

from dataclasses import dataclass, field
from statistics import median


@dataclass(slots=True)
class Figures:
    """Every figure of every round.

    Attributes:
        raw: by contender, then by name such as `plain/c64/rate`, one value per round.
    """

    raw: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contender: str, figures: dict[str, float]) -> None:
        """Adds the figures of one round of one contender."""
        named = self.raw.setdefault(contender, {})
        for name, value in figures.items():
            named.setdefault(name, []).append(value)

    def replace(self, raw: dict[str, dict[str, list[float]]]) -> None:
        """Adds another run. Its figures replace those of the same names, for every contender."""
        names = {name for named in raw.values() for name in named}
        for named in self.raw.values():
            for name in names & named.keys():
                del named[name]
        for contender, named in raw.items():
            self.raw.setdefault(contender, {}).update(named)

    @property
    def contenders(self) -> list[str]:
        return list(self.raw)

    def median(self, contender: str, name: str) -> float | None:
        """The median of the rounds, None if it was not measured."""
        values = self.raw.get(contender, {}).get(name)
        return median(values) if values else None

    def ratio(self, contender: str, other: str, name: str) -> float | None:
        """The median of one contender divided by that of the other, None if that is impossible."""
        mine, theirs = self.median(contender, name), self.median(other, name)
        return mine / theirs if mine is not None and theirs else None
