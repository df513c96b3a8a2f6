"""PromQL as alerts and dashboards have it: which metrics it asks for, and by which labels."""

import re
from collections.abc import Iterator

from ovh_proxy.observability.metrics import METRIC_FAMILIES

_SELECTOR = re.compile(r"\b((?:ovh_proxy|process)_\w+|up\b)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
# Prometheus adds these to every series.
_ADDED = {"job", "instance"}
_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}

LABELS: dict[str, set[str]] = {
    **dict.fromkeys((*_PROCESS, "up"), _ADDED),
    **{
        name: {*family.labels, *_ADDED, *({"le"} if name.endswith("_bucket") else ())}
        for family in METRIC_FAMILIES
        for name in (
            [f"{family.name}_{part}" for part in ("bucket", "count", "sum")]
            if family.kind == "histogram"
            else [family.name]
        )
    },
}
"""The labels of every series that there is, by its name."""


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics that a query asks for, each with the labels that it matches."""
    for name, matchers in _SELECTOR.findall(query):
        yield name, set(_MATCHER.findall(matchers or ""))


def metrics(query: str) -> set[str]:
    """The metrics that a query asks for."""
    return {name for name, _ in selectors(query)}


def unknown(query: str) -> list[str]:
    """What a query asks for and nobody has."""
    return [
        f"{name} {sorted(labels - LABELS.get(name, set()))}"
        for name, labels in selectors(query)
        if name not in LABELS or not labels <= LABELS[name]
    ]
