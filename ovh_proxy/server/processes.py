"""What the system says of the processes that serve together: their time, memory and files."""

from collections.abc import Iterable

Levels = dict[str, float]
"""By metric name, as prometheus-client calls them."""

# Of these the whole is the least; all others add up. Memory that processes share counts for each.
_LEAST = frozenset({"process_start_time_seconds", "process_max_fds"})


def process_levels() -> Levels:
    """Those of this process; none where the system does not tell."""
    from prometheus_client import ProcessCollector

    families = ProcessCollector(registry=None).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


def sum_processes(processes: Iterable[Levels]) -> Levels:
    """Those of several processes in one."""
    whole: Levels = {}
    for levels in processes:
        for name, value in levels.items():
            if name not in whole:
                whole[name] = value
            elif name in _LEAST:
                whole[name] = min(whole[name], value)
            else:
                whole[name] += value
    return whole


class SummedProcessCollector:
    """Shows them, in the place of prometheus-client's own collector for one process."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def collect(self) -> Iterable[object]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, value in self._levels.items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(name, "Of all processes that serve, supervisor included.", value=value)
