"""The metrics and labels in PromQL queries of alerts and dashboards."""

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
"""The labels of every existing series, by name."""


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yields the metrics of a query with the labels that it matches."""
    for name, matchers in _SELECTOR.findall(query):
        yield name, set(_MATCHER.findall(matchers or ""))


def metrics(query: str) -> set[str]:
    """Returns the metrics of a query."""
    return {name for name, _ in selectors(query)}


def unknown(query: str) -> list[str]:
    """Returns the metrics and labels of a query that do not exist."""
    return [
        f"{name} {sorted(labels - LABELS.get(name, set()))}"
        for name, labels in selectors(query)
        if name not in LABELS or not labels <= LABELS[name]
    ]
