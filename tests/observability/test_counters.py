"""Counters that add up over processes, and their exposition for Prometheus."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ovh_proxy.http1.exchange import CLIENT_LEFT, Exchange
from ovh_proxy.observability.counters import BOUNDS, RequestCounters, outcome_of, sum_snapshots
from ovh_proxy.observability.metrics import METRIC_FAMILIES, Metrics


def exchange(**fields: object) -> Exchange:
    made = Exchange(10.0, "GET", b"/me")
    made.profile, made.client, made.status = "personal", "ci", 200
    made.attempts.count = 1
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def retried() -> Exchange:
    made = exchange(upstream_s=0.2, waited_s=0.1, body_bytes=3, response_body_bytes=40)
    made.attempts.count = 3
    return made


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "relayed"),
        ({"status": 404}, "relayed"),
        ({"is_own_route": True}, "own"),
        ({"status": 403, "code": "ACCESS_DENIED"}, "refused"),
        ({"status": 503, "code": "OVERLOADED"}, "failed"),
        ({"code": "UPSTREAM_BROKEN", "is_cut": True}, "cut"),
        ({"status": CLIENT_LEFT}, "client_left"),
    ],
)
def test_a_request_has_one_outcome(fields: dict[str, object], expected: str) -> None:
    assert outcome_of(exchange(**fields)) == expected


def test_a_duration_is_counted_under_the_first_bound_that_holds_it() -> None:
    counters = RequestCounters()

    for seconds in (0.001, BOUNDS[0], 0.3, BOUNDS[-1] + 1):
        counters.count(exchange(began=0.0), seconds)

    total = counters.profiles["personal"].total
    held = {bound: n for bound, n in zip((*BOUNDS, None), total.counts, strict=True) if n}
    assert held == {BOUNDS[0]: 2, 0.5: 1, None: 1}
    assert total.seconds == pytest.approx(0.001 + BOUNDS[0] + 0.3 + BOUNDS[-1] + 1)


def test_the_proxys_own_time_excludes_ovhcloud_and_the_client() -> None:
    counters = RequestCounters()

    counters.count(retried(), 10.5)

    counted = counters.profiles["personal"]
    shares = [one.seconds for one in (counted.total, counted.upstream, counted.own)]
    assert shares == pytest.approx([0.5, 0.2, 0.2])
    assert (counted.retries, counted.body_bytes, counted.response_body_bytes) == (2, 3, 40)


def test_a_request_that_was_not_sent_has_no_upstream_time() -> None:
    counters = RequestCounters()
    refused = exchange(status=403, code="ACCESS_DENIED")
    refused.attempts.count = 0

    counters.count(refused, 10.5)

    counted = counters.profiles["personal"]
    assert (sum(counted.total.counts), sum(counted.upstream.counts)) == (1, 0)
    assert dict(counters.refusals) == {"ACCESS_DENIED": 1}


def test_counters_of_another_process_are_added_after_json() -> None:
    ours, theirs = Metrics(lambda: {"ovh_proxy_connections": 2}), RequestCounters()
    ours.count(retried(), 10.5)
    theirs.count(retried(), 10.5)
    theirs.count(exchange(status=502, code="UPSTREAM_BROKEN"), 10.2)
    other = json.loads(json.dumps({**theirs.snapshot(), "levels": {"ovh_proxy_connections": 3}}))

    exposed = samples(ours.exposition({}, [other]))

    profile = (("profile", "personal"),)
    assert exposed["ovh_proxy_request_duration_seconds_count", profile] == 3
    assert exposed["ovh_proxy_request_duration_seconds_sum", profile] == pytest.approx(1.2)
    assert exposed["ovh_proxy_retries_total", profile] == 4
    assert exposed["ovh_proxy_response_body_bytes_total", profile] == 80
    assert exposed["ovh_proxy_refusals_total", (("code", "UPSTREAM_BROKEN"),)] == 1
    assert exposed["ovh_proxy_connections", ()] == 5


def test_snapshots_of_several_processes_are_one_snapshot() -> None:
    one, other = RequestCounters(), RequestCounters()
    one.count(retried(), 10.5)
    other.count(exchange(status=502, code="UPSTREAM_BROKEN"), 10.2)

    total = sum_snapshots(
        [
            {**one.snapshot(), "levels": {"a": 1.0}, "process": {"process_cpu_seconds_total": 2.0}},
            {**other.snapshot(), "levels": {"a": 2.0, "b": 1.0}},
            {**other.snapshot(), "levels": {}, "process": {"process_cpu_seconds_total": 3.0}},
        ]
    )

    expected = RequestCounters()
    for snapshot in (one.snapshot(), other.snapshot(), other.snapshot()):
        expected.add(snapshot)
    assert total == {
        **expected.snapshot(),
        "levels": {"a": 3.0, "b": 1.0},
        "process": {"process_cpu_seconds_total": 5.0},
    }


def test_the_sum_of_no_snapshots_is_empty() -> None:
    assert sum_snapshots([]) == {**RequestCounters().snapshot(), "levels": {}, "process": {}}


def test_buckets_are_cumulative() -> None:
    metrics = Metrics()
    for ended in (10.001, 10.3, 999.0):
        metrics.count(exchange(), ended)

    exposed = samples(metrics.exposition({}))

    found = [
        exposed["ovh_proxy_request_duration_seconds_bucket", (("le", le), ("profile", "personal"))]
        for le in (*map(str, BOUNDS), "+Inf")
    ]
    assert found == [1] * 5 + [1] + [2] * 8 + [3]


def test_every_family_is_exposed_before_anything_is_counted() -> None:
    page = Metrics().exposition({}).decode()

    assert all(f"# TYPE {family.name} {family.kind}" in page for family in METRIC_FAMILIES)
