import random

import pytest
from soak.calls import Call, calls, number_of
from soak.records import Arrivals, ClientRecords
from support.proxy_server import Message

from ovh_proxy.sandbox.call import ReceivedRequest

READ = Call(1, "GET", b"", "kept", "sent", is_reset=False, answer_bytes=None)
ORDER = Call(1, "POST", b"", "kept", "sent", is_reset=False, answer_bytes=None)
GOOD = "signed by us"
STALE = "refused: QUERY_TIME_OUT"


def found(call, outcome, verdicts, attempts=3):
    records = ClientRecords(made={1: call})
    if outcome is not None:
        records.record(call, outcome)
    logged = [{"request_id": "1", "attempts": attempts}]
    return records.disagreements({1: verdicts} if verdicts else {}, logged)


@pytest.mark.parametrize(
    ("call", "outcome", "verdicts"),
    [
        pytest.param(ORDER, "answered", [GOOD], id="an order that arrived"),
        pytest.param(ORDER, "answered", [STALE, GOOD], id="an order with a new signature"),
        pytest.param(ORDER, "failed", [], id="an order that failed before it arrived"),
        pytest.param(ORDER, "left", [GOOD], id="an order whose client left"),
        pytest.param(ORDER, "not sent", [STALE], id="an order without a new signature"),
        pytest.param(READ, "answered", [GOOD, GOOD], id="a read that was retried"),
    ],
)
def test_records_that_agree_have_no_disagreements(call, outcome, verdicts):
    assert found(call, outcome, verdicts) == []


@pytest.mark.parametrize(
    ("call", "outcome", "verdicts", "attempts", "message"),
    [
        pytest.param(ORDER, "answered", [GOOD, GOOD], 3, "arrived twice", id="duplicate"),
        pytest.param(
            ORDER, "left", [GOOD, "incomplete"], 3, "arrived twice", id="partial duplicate"
        ),
        pytest.param(ORDER, "answered", [], 1, "did not arrive", id="no arrival"),
        pytest.param(ORDER, "not sent", [GOOD], 1, "reported as not sent", id="sent anyway"),
        pytest.param(READ, None, [GOOD], 1, "received no response", id="lost"),
        pytest.param(READ, "answered", [GOOD, GOOD], 1, "more often", id="not logged"),
    ],
)
def test_a_disagreement_names_the_call(call, outcome, verdicts, attempts, message):
    (line,) = found(call, outcome, verdicts, attempts)

    assert line.startswith("call 1 ")
    assert message in line


def test_an_arrival_without_a_call_is_reported():
    assert ClientRecords().disagreements({7: [GOOD]}, []) == ["call 7: no client made it"]


def test_a_response_of_another_call_is_reported():
    records = ClientRecords(made={1: READ})

    records.record_response(
        READ, Message(b"HTTP/1.1 200 OK\r\n\r\n", b'{"target": "/1.0/x?call=2"}')
    )

    assert "belongs to another call" in records.wrong[0]


def test_all_arrivals_are_kept():
    arrivals = Arrivals()

    for number in (1, 2, 1):
        arrivals.append(ReceivedRequest("GET", b"/1.0/x?call=%d" % number, "1.1", (), b""))

    assert arrivals.verdicts == {1: ["unsigned"] * 2, 2: ["unsigned"]}
    assert len(arrivals.unsigned) == 3


def test_calls_differ_and_each_contains_its_number():
    make = calls(random.Random(1))

    made = [make() for _ in range(300)]

    assert [number_of(call.text) for call in made] == list(range(1, 301))
    assert {call.behavior for call in made} == {
        "kept",
        "single",
        "leaving",
        "slow-sending",
        "slow-reading",
    }
    assert {call.method for call in made} == {"GET", "POST", "PUT", "DELETE"}
