"""Every contender in turn, A B A B, so that what drifts hits them all alike."""

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.call import call_ms
from benchmarks.contenders import Contender
from benchmarks.errors import CannotMeasureError
from benchmarks.place import Place
from benchmarks.run_record import RunRecord
from benchmarks.scenes import Scene


def say(text: str) -> None:
    """Progress, on standard error: the tables alone are on standard output."""
    print(text, file=sys.stderr, flush=True)


def measure_scene(
    scene: Scene, contenders: Sequence[Contender], place: Place, rounds: int, record: RunRecord
) -> None:
    """All rounds of a scene, in the record as they come, and what failed with its reason."""
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
                record.figures.add(contender.name, _measure(scene, contender, place, flavour))
            except (CannotMeasureError, OSError, subprocess.TimeoutExpired) as failure:
                failed.add((contender.name, flavour))
                record.fail(f"{scene.name} {flavour} of {contender.name}", failure)
                say(f"  {failure}")


def _measure(scene: Scene, contender: Contender, place: Place, flavour: str) -> dict[str, float]:
    """A contender of its own for each round: a lucky start must not last."""
    with contender.start(place, flavour) as running:
        try:
            return scene.measure(place, running, flavour)
        except CannotMeasureError:
            if running.pid is not None:
                call_ms(running)  # says more of what is wrong, where it fails too
            raise
