import pytest
from conformance.corpus import Item, Outcome, Result, items, outcome_of
from conformance.page import (
    BEGIN,
    END,
    corpus_table,
    difference_table,
    httpbin_table,
    renewed,
    siege_table,
)
from conformance.slow import SECONDS, Siege, read_csv

REFUSED, PASSED = Outcome((400,), ()), Outcome((200,), (0,))
HANGS, CLOSED, FAILED = Outcome((), (), hangs=True), Outcome((), ()), Outcome((502,), ())
SENT = [Item("bad", b"", True), Item("good", b"", False)]


def result(bad: Outcome, good: Outcome, arrived: int = 1, **offences: int) -> Result:
    return Result({"bad": bad, "good": good}, arrived, offences)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (REFUSED, "refused"),
        (PASSED, "passed"),
        (HANGS, "hangs"),
        (CLOSED, "closed"),
        (FAILED, "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_last_answer_says_what_became_of_an_item(outcome, word):
    assert outcome.word == word


def test_interim_answers_do_not_count():
    received = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nserial: 7\r\n\r\n"
        b"HTTP/1.0 400 Bad Request\r\n\r\n"
    )

    assert outcome_of(received, hangs=False) == Outcome((200, 400), (7,))


def test_every_item_has_a_name_of_its_own_and_a_host_that_all_let_in():
    sent = items()

    assert len({item.name for item in sent}) == len(sent) > 200
    assert not any(b"Host: example.com\r\n" in item.text for item in sent)


def test_the_table_counts_each_item_once_and_what_is_missing():
    table = corpus_table(SENT, {"a": result(REFUSED, PASSED), "b": result(PASSED, HANGS, 3, two=4)})

    assert "| to be refused (1): answered 4xx | 1 | 0 |" in table
    assert "| … **let through** | 0 | 1 |" in table
    assert "| any: hangs | 0 | 1 |" in table
    assert "| requests upstream whose answer nobody got | 0 | 2 |" in table
    assert "| upstream: two | 0 | 4 |" in table


def test_only_items_that_somebody_lets_through_or_hangs_on_are_named():
    table = difference_table(
        SENT,
        {"a": result(REFUSED, PASSED), "b": result(FAILED, PASSED), "c": result(PASSED, HANGS)},
    )

    assert "| `bad` | refused | failed | passed |" in table
    assert "| `good` | passed | passed | hangs |" in table
    assert "`bad`" not in difference_table(SENT, {"a": result(REFUSED, PASSED)})


@pytest.mark.parametrize(
    ("last", "expected"), [(7, (9, 8)), (SECONDS, (9, None))], ids=["all ended", "some stand"]
)
def test_the_report_of_slowhttptest_is_read(last, expected):
    head = "Seconds,Closed,Pending,Connected,Service Available\n"

    assert read_csv(f"{head}0,0,1,4,9\n1,0,1,9,9\n{last},4,0,5,9\n") == expected


def test_a_siege_in_which_somebody_got_no_answer_shows():
    table = siege_table({"slow reads": {"a": Siege(9, None, None), "b": Siege(9, 3, 7.4)}})

    assert "| slow reads | a | 9 | the end | **no answer** |" in table
    assert "| slow reads | b | 9 | 3 s | 7 ms |" in table


def test_what_was_promised_is_no_difference_for_us_alone():
    promised = ["+ X-Ovh-Proxy-Request-Id", "status 500, not 200"]

    table = httpbin_table({"GET /a|b": {"ovh-proxy": promised, "nginx": promised, "haproxy": []}})

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
    ids=["without marks", "with marks"],
)
def test_only_what_stands_between_the_marks_is_renewed(page, expected):
    assert renewed(page, "new") == expected
