import pytest
from benchmarks.errors import CannotMeasureError
from benchmarks.wrk import Load, parse

OUTPUT = """\
Running 3s test @ http://127.0.0.1:8080/1.0/me
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.12ms  512.00us  15.20ms   91.00%
    Req/Sec    57.50k     3.10k   61.00k    80.00%
  Latency Distribution
     50%    1.02ms
     75%    1.30ms
     90%  950.00us
     99%    {p99}
  171234 requests in 3.00s, 80.00MB read
{more}Requests/sec:  57078.12
Transfer/sec:     26.67MB
"""


@pytest.mark.parametrize(
    ("p99", "more", "expected"),
    [
        ("2.60ms", "", Load(57078.12, 171234, 1.02, 2.6, 0)),
        ("640.00us", "", Load(57078.12, 171234, 1.02, 0.64, 0)),
        ("1.20s", "", Load(57078.12, 171234, 1.02, 1200.0, 0)),
        ("1.00m", "", Load(57078.12, 171234, 1.02, 60_000.0, 0)),
        (
            "2.60ms",
            "Socket errors: connect 1, read 2, write 0, timeout 4\nNon-2xx or 3xx responses: 9\n",
            Load(57078.12, 171234, 1.02, 2.6, 16),
        ),
    ],
    ids=["milliseconds", "microseconds", "seconds", "minutes", "failures"],
)
def test_the_output_of_wrk_is_parsed(p99: str, more: str, expected: Load) -> None:
    assert parse(OUTPUT.format(p99=p99, more=more)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "unable to connect", OUTPUT.format(p99="fast", more="")],
    ids=["none", "other", "p99"],
)
def test_other_output_is_an_error(text: str) -> None:
    with pytest.raises(CannotMeasureError, match="unexpected output of wrk"):
        parse(text)
