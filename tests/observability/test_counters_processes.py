"""The system's metrics of several processes."""

import os
import sys

import pytest

from ovh_proxy.observability.counters import SummedProcessCollector, process_levels, sum_processes


def test_metrics_of_processes_are_added_up_or_their_minimum_is_used():
    one = {"process_cpu_seconds_total": 1.5, "process_start_time_seconds": 20.0}
    other = {"process_cpu_seconds_total": 2.0, "process_start_time_seconds": 10.0}

    whole = sum_processes([one, {}, other, {"process_open_fds": 3.0}])

    assert whole == {
        "process_cpu_seconds_total": 3.5,
        "process_start_time_seconds": 10.0,
        "process_open_fds": 3.0,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_metrics_of_this_process_are_available():
    levels = process_levels()

    assert levels["process_cpu_seconds_total"] > 0
    assert levels["process_open_fds"] == pytest.approx(len(os.listdir("/proc/self/fd")), abs=3)


def test_the_names_are_the_same_as_for_one_process():
    families = list(SummedProcessCollector(process_levels()).collect())

    samples = {sample.name for family in families for sample in family.samples}
    assert samples == set(process_levels())
