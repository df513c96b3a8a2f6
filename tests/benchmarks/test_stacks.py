import pytest
from benchmarks.stacks import file_of, shares

LIB = "/venv/lib/python3.11"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("sign (/src/ovh_proxy/ovhcloud/signature.py:20)", "ovh_proxy/ovhcloud/signature.py"),
        ("start (aiohttp/web_protocol.py:500)", "aiohttp/web_protocol.py"),
        (f"start ({LIB}/site-packages/aiohttp/web_protocol.py:500)", "aiohttp/web_protocol.py"),
        (f"_run_once ({LIB}/asyncio/base_events.py:1920)", "asyncio/base_events.py"),
        (f"dumps ({LIB}/json/encoder.py:200)", "json"),
        (f"inc ({LIB}/site-packages/prometheus_client/metrics.py:1)", "prometheus_client"),
        ("__init__ (<string>:3)", "generated code"),
        ("fspath (<frozen os>:3)", "os"),
        ("run (naive_proxy.py:9)", "naive_proxy"),
        ("something else", "other"),
    ],
)
def test_a_frame_is_attributed_to_its_file_or_library(frame: str, expected: str) -> None:
    assert file_of(frame, "ovh_proxy/") == expected


def test_only_the_innermost_frame_of_the_main_thread_counts() -> None:
    text = """\
thread (1): MainThread;main (a.py:1);sign (/x/ovh_proxy/ovhcloud/signature.py:2) 3
thread (1): MainThread;main (a.py:1) 1
thread (2): Worker;run (threading.py:982);_worker (concurrent/futures/thread.py:81) 90
"""

    assert shares(text) == {"ovh_proxy/ovhcloud/signature.py": 0.75, "a": 0.25}


def test_without_samples_there_are_no_shares() -> None:
    assert shares("") == {}
