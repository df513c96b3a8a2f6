"""One run as JSON: the machine, the options and all raw figures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import CannotMeasureError
from benchmarks.figures import Figures


@dataclass(slots=True)
class RunRecord:
    """The record of a run.

    Attributes:
        machine: facts by name.
        asked: rounds, seconds, connections.
        failed: what could not be measured, and why.
    """

    machine: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)

    def fail(self, what: str, failure: Exception) -> None:
        """Records what could not be measured, without logs and commands, which contain paths."""
        is_ours = isinstance(failure, CannotMeasureError)
        why = str(failure).partition("\n")[0] if is_ours else type(failure).__name__
        self.failed.append(f"{what}: {why}")

    def text(self) -> str:
        """The record as JSON, one figure per line."""
        parts = [f"{json.dumps(name)}: {_lines(raw)}" for name, raw in self.figures.raw.items()]
        figures = ",\n".join(parts)
        rest = {"machine": self.machine, "asked": self.asked, "failed": self.failed}
        facts = "".join(
            f"{json.dumps(key)}: {json.dumps(value, indent=1)},\n" for key, value in rest.items()
        )
        return f'{{\n{facts}"figures": {{\n{figures}\n}}\n}}\n'


def _lines(raw: dict[str, list[float]]) -> str:
    rounded = {name: [round(value, 6) for value in values] for name, values in raw.items()}
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in rounded.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def read(paths: Sequence[Path]) -> RunRecord:
    """Combines several runs. If several have the same figure, the last run is used.

    Raises:
        CannotMeasureError: a file cannot be read or is not a record.
    """
    whole = RunRecord()
    for path in paths:
        try:
            part = json.loads(path.read_text())
            figures = {
                who: {name: [float(value) for value in values] for name, values in named.items()}
                for who, named in part["figures"].items()
            }
            whole.machine |= part["machine"]
            whole.asked |= part["asked"]
            whole.failed += part["failed"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
            raise CannotMeasureError(f"{path} is not a record of a run: {failure!r}") from failure
        whole.figures.replace(figures)
    return whole
