import pytest
from conformance.corpus import Item, Outcome, Result, items, outcome_of
from conformance.page import (
    BEGIN,
    END,
    corpus_table,
    difference_table,
    httpbin_table,
    renewed,
    slow_table,
)
from conformance.slow import SECONDS, SlowAttack, read_csv

REFUSED, PASSED = Outcome((400,), ()), Outcome((200,), (0,))
HANGS, CLOSED, FAILED = Outcome((), (), hangs=True), Outcome((), ()), Outcome((502,), ())
SENT = [Item("bad", b"", True), Item("good", b"", False)]


def result(bad: Outcome, good: Outcome, arrived: int = 1, **offences: int) -> Result:
    return Result({"bad": bad, "good": good}, arrived, offences)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (REFUSED, "rejected"),
        (PASSED, "forwarded"),
        (HANGS, "hangs"),
        (CLOSED, "closed"),
        (FAILED, "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_last_response_decides_the_outcome(outcome, word):
    assert outcome.word == word


def test_interim_responses_are_ignored():
    received = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nserial: 7\r\n\r\n"
        b"HTTP/1.0 400 Bad Request\r\n\r\n"
    )

    assert outcome_of(received, hangs=False) == Outcome((200, 400), (7,))


def test_every_item_has_a_unique_name_and_an_accepted_host():
    sent = items()

    assert len({item.name for item in sent}) == len(sent) > 200
    assert not any(b"Host: example.com\r\n" in item.text for item in sent)


def test_the_table_counts_each_item_once_and_missing_responses():
    table = corpus_table(SENT, {"a": result(REFUSED, PASSED), "b": result(PASSED, HANGS, 3, two=4)})

    assert "| must be rejected (1): answered 4xx | 1 | 0 |" in table
    assert "| … **forwarded** | 0 | 1 |" in table
    assert "| any: hangs | 0 | 1 |" in table
    assert "| upstream requests whose response reached no client | 0 | 2 |" in table
    assert "| upstream: two | 0 | 4 |" in table


def test_only_items_that_are_forwarded_or_hang_are_listed():
    table = difference_table(
        SENT,
        {"a": result(REFUSED, PASSED), "b": result(FAILED, PASSED), "c": result(PASSED, HANGS)},
    )

    assert "| `bad` | rejected | failed | forwarded |" in table
    assert "| `good` | forwarded | forwarded | hangs |" in table
    assert "`bad`" not in difference_table(SENT, {"a": result(REFUSED, PASSED)})


@pytest.mark.parametrize(
    ("last", "expected"), [(7, (9, 8)), (SECONDS, (9, None))], ids=["all ended", "some stay open"]
)
def test_the_report_of_slowhttptest_is_parsed(last, expected):
    head = "Seconds,Closed,Pending,Connected,Service Available\n"

    assert read_csv(f"{head}0,0,1,4,9\n1,0,1,9,9\n{last},4,0,5,9\n") == expected


def test_a_missing_response_to_another_client_is_shown():
    table = slow_table({"slow reads": {"a": SlowAttack(9, None, None), "b": SlowAttack(9, 3, 7.4)}})

    assert "| slow reads | a | 9 | still open | **no response** |" in table
    assert "| slow reads | b | 9 | 3 s | 7 ms |" in table


def test_documented_changes_are_only_ignored_for_ovh_proxy():
    documented = ["+ X-Ovh-Proxy-Request-Id", "status 500, not 200"]

    table = httpbin_table(
        {"GET /a|b": {"ovh-proxy": documented, "nginx": documented, "haproxy": []}}
    )

    both = "+ X-Ovh-Proxy-Request-Id; status 500, not 200"
    assert f"| `GET /a&#124;b` | status 500, not 200 | {both} | same |" in table


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("prose\n", f"prose\n\n{BEGIN}\n\nnew\n\n{END}\n"),
        (
            f"prose\n\n{BEGIN}\n\nold\n\n{END}\n\nmore\n",
            f"prose\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n",
        ),
    ],
    ids=["without markers", "with markers"],
)
def test_only_the_text_between_the_markers_is_replaced(page, expected):
    assert renewed(page, "new") == expected
