import random

import pytest
from server.conftest import Message
from soak.calls import Call, calls, number_of
from soak.ledger import Arrivals, Ledger

from ovh_proxy.sandbox.received import ReceivedRequest

READ = Call(1, "GET", b"", "kept", "asked", is_reset=False, answer_bytes=None)
ORDER = Call(1, "POST", b"", "kept", "asked", is_reset=False, answer_bytes=None)
GOOD = "signed by us"
STALE = "refused: QUERY_TIME_OUT"


def found(call, outcome, verdicts, attempts=3):
    ledger = Ledger(made={1: call})
    if outcome is not None:
        ledger.note(call, outcome)
    logged = [{"request_id": "1", "attempts": attempts}]
    return ledger.disagreements({1: verdicts} if verdicts else {}, logged)


@pytest.mark.parametrize(
    ("call", "outcome", "verdicts"),
    [
        pytest.param(ORDER, "answered", [GOOD], id="an order that arrived"),
        pytest.param(ORDER, "answered", [STALE, GOOD], id="an order with a new proof"),
        pytest.param(ORDER, "failed", [], id="an order that failed on its way"),
        pytest.param(ORDER, "left", [GOOD], id="an order that nobody waits for"),
        pytest.param(ORDER, "not sent", [STALE], id="an order without a new proof"),
        pytest.param(READ, "answered", [GOOD, GOOD], id="a read that was tried again"),
    ],
)
def test_ledgers_that_agree_tell_of_nothing(call, outcome, verdicts):
    assert found(call, outcome, verdicts) == []


@pytest.mark.parametrize(
    ("call", "outcome", "verdicts", "attempts", "told"),
    [
        pytest.param(ORDER, "answered", [GOOD, GOOD], 3, "doubled", id="doubled"),
        pytest.param(ORDER, "left", [GOOD, "incomplete"], 3, "doubled", id="doubled by half"),
        pytest.param(ORDER, "answered", [], 1, "without having arrived", id="made up"),
        pytest.param(ORDER, "not sent", [GOOD], 1, "told as not sent", id="sent all the same"),
        pytest.param(READ, None, [GOOD], 1, "has heard nothing", id="lost"),
        pytest.param(READ, "answered", [GOOD, GOOD], 1, "more often", id="not logged"),
    ],
)
def test_ledgers_that_differ_name_the_call(call, outcome, verdicts, attempts, told):
    (line,) = found(call, outcome, verdicts, attempts)

    assert line.startswith("call 1 ")
    assert told in line


def test_what_nobody_asked_for_is_told():
    assert Ledger().disagreements({7: [GOOD]}, []) == ["call 7: nobody made it"]


def test_an_answer_of_another_call_is_told():
    ledger = Ledger(made={1: READ})

    ledger.answer(READ, Message(b"HTTP/1.1 200 OK\r\n\r\n", b'{"target": "/1.0/x?call=2"}'))

    assert "not its own" in ledger.wrong[0]


def test_the_upstream_forgets_no_arrival():
    arrivals = Arrivals()

    for number in (1, 2, 1):
        arrivals.append(ReceivedRequest("GET", b"/1.0/x?call=%d" % number, "1.1", (), b""))

    assert arrivals.verdicts == {1: ["unsigned"] * 2, 2: ["unsigned"]}
    assert len(arrivals.strangers) == 3


def test_calls_differ_and_each_says_its_number():
    make = calls(random.Random(1))

    made = [make() for _ in range(300)]

    assert [number_of(call.text) for call in made] == list(range(1, 301))
    assert {call.manner for call in made} == {"kept", "single", "leaving", "dripping", "sipping"}
    assert {call.method for call in made} == {"GET", "POST", "PUT", "DELETE"}
