"""The table of scenes: what each one measures, and for which contenders."""

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
from benchmarks.bench import Bench
from benchmarks.contenders import CONTENDERS
from benchmarks.running import Running

Measure = Callable[[Bench, Running, str], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of measurement.

    Attributes:
        measure: takes a contender that was just started and a kind of upstream; returns figures
            by name.
        flavours: the kinds of upstream.
        without: contenders that it is not meaningful for.
    """

    name: str
    about: str
    measure: Measure
    flavours: tuple[str, ...] = ("plain", "tls")
    without: frozenset[str] = frozenset()


# These are only measured for their rate.
WORKERS = frozenset({"two-workers"})
DIRECT = WORKERS | {"direct"}
# These hold whole responses in memory. 32 at a time need gigabytes.
IN_MEMORY = DIRECT | {"aws-sigv4-proxy", "mitmproxy"}
OURS = frozenset({"ovh-proxy", "against"})
IN_PYTHON = OURS | {"naive"}

SCENES = {
    scene.name: scene
    for scene in (
        Scene("rate", "requests/s, p99, CPU at several numbers of connections", rate.measure),
        Scene("latency", "response time at 500 requests/s", latency.measure, ("plain",), WORKERS),
        Scene(
            "varied",
            "requests/s with a different path for each request",
            varied.measure,
            ("plain",),
        ),
        Scene("close", "requests/s with one connection per request", close.measure, ("plain",)),
        Scene(
            "instructions",
            "instructions per request, by callgrind",
            instructions.measure,
            without=frozenset(CONTENDERS) - OURS,
        ),
        Scene(
            "down",
            "1 GiB download: speed, first byte, memory",
            bodies.measure_down,
            without=WORKERS,
        ),
        Scene("up", "64 MiB upload: speed, memory", bodies.measure_up, ("plain",), WORKERS),
        Scene(
            "slow", "32 slow readers of 64 MiB each: memory", bodies.measure_slow, without=IN_MEMORY
        ),
        Scene("start", "startup time, first call, idle memory", start.measure, ("plain",), DIRECT),
        Scene(
            "one-shot",
            "curl through a warm proxy and python-ovh without one, TLS, 40 ms round trip",
            one_shot.measure,
            ("far", "far12"),
            WORKERS,
        ),
        Scene(
            "profile",
            "where the Python contenders spend their time, by py-spy",
            profile.measure,
            without=frozenset(CONTENDERS) - IN_PYTHON,
        ),
    )
}
