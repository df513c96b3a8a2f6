"""The scenes in one table: what each measures, and of whom."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import (
    bodies,
    close,
    instructions,
    latency,
    one_shot,
    profile,
    rate,
    start,
    varied,
)
from benchmarks.contenders import CONTENDERS
from benchmarks.place import Place
from benchmarks.running import Running

Measure = Callable[[Place, Running, str], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing measured.

    Attributes:
        measure: takes a contender just started and a flavour of upstream; gives named figures.
        flavours: of the upstream.
        without: contenders that it says nothing about.
    """

    name: str
    about: str
    measure: Measure
    flavours: tuple[str, ...] = ("plain", "tls")
    without: frozenset[str] = frozenset()


# What these are for is a rate.
WORKERS = frozenset({"two-workers"})
DIRECT = WORKERS | {"direct"}
# These hold whole answers in memory: 32 at once are gigabytes.
HOARDERS = DIRECT | {"aws-sigv4-proxy", "mitmproxy"}
OURS = frozenset({"ovh-proxy", "against"})
IN_PYTHON = OURS | {"naive"}

SCENES = {
    scene.name: scene
    for scene in (
        Scene("rate", "requests/s, p99, CPU at several numbers of connections", rate.measure),
        Scene(
            "latency", "time to the answer at 500 requests/s", latency.measure, ("plain",), WORKERS
        ),
        Scene("varied", "requests/s where each asks for another path", varied.measure, ("plain",)),
        Scene("close", "requests/s with a connection a request", close.measure, ("plain",)),
        Scene(
            "instructions",
            "instructions a request, by callgrind",
            instructions.measure,
            without=frozenset(CONTENDERS) - OURS,
        ),
        Scene(
            "down", "1 GiB down: speed, first byte, memory", bodies.measure_down, without=WORKERS
        ),
        Scene("up", "64 MiB up: speed, memory", bodies.measure_up, ("plain",), WORKERS),
        Scene(
            "slow", "32 slow readers of 64 MiB each: memory", bodies.measure_slow, without=HOARDERS
        ),
        Scene("start", "start-up, first call, idle memory", start.measure, ("plain",), DIRECT),
        Scene(
            "one-shot",
            "curl through a warm proxy and python-ovh without, TLS, 40 ms away",
            one_shot.measure,
            ("far", "far12"),
            WORKERS,
        ),
        Scene(
            "profile",
            "where the time goes in the contenders that are Python, by py-spy",
            profile.measure,
            without=frozenset(CONTENDERS) - IN_PYTHON,
        ),
    )
}
