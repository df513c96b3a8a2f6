"""Measures the contenders in turn (A B A B), so that drift affects all of them equally."""

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.call import call_ms
from benchmarks.contenders import Contender
from benchmarks.errors import CannotMeasureError
from benchmarks.run_record import RunRecord
from benchmarks.scenes import Scene


def say(text: str) -> None:
    """Prints progress on standard error. Only the tables are on standard output."""
    print(text, file=sys.stderr, flush=True)


def measure_scene(
    scene: Scene, contenders: Sequence[Contender], bench: Bench, rounds: int, record: RunRecord
) -> None:
    """Measures all rounds of a scene, and records each result or failure immediately."""
    for contender in contenders:  # the order of the tables
        record.figures.raw.setdefault(contender.name, {})
    failed: set[tuple[str, str]] = set()
    order = [(flavour, contender) for flavour in scene.flavours for contender in contenders]
    for number in range(1, rounds + 1):
        for flavour, contender in order:
            if contender.name in scene.without or (contender.name, flavour) in failed:
                continue
            say(f"{scene.name} {flavour}, round {number} of {rounds}: {contender.name}")
            try:
                record.figures.add(contender.name, _measure(scene, contender, bench, flavour))
            except (CannotMeasureError, OSError, subprocess.TimeoutExpired) as failure:
                failed.add((contender.name, flavour))
                record.fail(f"{scene.name} {flavour} of {contender.name}", failure)
                say(f"  {failure}")


def _measure(scene: Scene, contender: Contender, bench: Bench, flavour: str) -> dict[str, float]:
    """Starts a new contender for each round, so that one lucky start does not affect all."""
    with contender.start(bench, flavour) as running:
        try:
            return scene.measure(bench, running, flavour)
        except CannotMeasureError:
            if running.pid is not None:
                call_ms(running)  # if this fails too, its error is more specific
            raise
