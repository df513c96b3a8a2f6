"""Checks that every contender signs what it sends; otherwise its figures would be wrong."""

import hashlib
import json
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import keys, naive_proxy
from benchmarks.bench import Bench
from benchmarks.contenders import CONTENDERS
from benchmarks.errors import CannotMeasureError
from benchmarks.processes import members
from benchmarks.recorder import Received, Recorder

SIGNERS = ("nginx-lua", "nginx-njs", "mitmproxy", "naive", "ovh-proxy", "two-workers")
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text())[
    "vectors"
]


def expected_signature(received: Received, origin: str) -> str:
    """The signature as documented."""
    parts = (keys.APPLICATION_SECRET, keys.CONSUMER_KEY, received.method, origin + received.target)
    timestamp = received.headers["x-ovh-timestamp"]
    text = "+".join(parts).encode() + b"+" + received.body + f"+{timestamp}".encode()
    return "$1$" + hashlib.sha1(text).hexdigest()  # noqa: S324 - OVHcloud's choice


def call(url: str, body: bytes | None) -> None:
    headers = dict([keys.TOKEN_HEADER]) | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as response:
        assert response.status == 200


@pytest.mark.parametrize("name", SIGNERS)
def test_a_contender_signs_what_it_sends(name: str, bench: Bench, recorder: Recorder) -> None:
    contender = CONTENDERS[name]
    if missing := contender.missing(bench):
        pytest.skip(missing)

    with contender.start(bench, "plain") as running:
        call(f"{running.origin}/1.0/me?a=%2F&b=%C3%A9", None)
        call(f"{running.origin}/1.0/upload", b'{"a":"\xc3\xa9"}')
        call(f"{running.origin}/1.0/upload", bytes(100_000))

    origin = bench.upstream.origin("plain")
    sent = [(each.method, each.target, len(each.body)) for each in recorder.received]
    assert sent == [
        ("GET", "/1.0/me?a=%2F&b=%C3%A9", 0),
        ("POST", "/1.0/upload", 10),
        ("POST", "/1.0/upload", 100_000),
    ]
    for each in recorder.received:
        assert each.headers["x-ovh-signature"] == expected_signature(each, origin)
        assert each.headers["x-ovh-application"] == keys.APPLICATION_KEY


def test_ovh_proxy_runs_with_all_features(bench: Bench, recorder: Recorder) -> None:
    with CONTENDERS["ovh-proxy"].start(bench, "plain") as running:
        call(f"{running.origin}/1.0/me", None)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{running.origin}/1.0/me", timeout=20)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            call(f"{running.origin}/1.0/vps", None)

    (log,) = bench.home.glob("*-ovh-proxy/log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines if "status" in line] == [200, 401, 403]
    assert len(recorder.received) == 1


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_naive_contender_signs_like_the_sdks(vector: dict[str, Any]) -> None:
    made = naive_proxy.signature(
        vector["application_secret"],
        vector["consumer_key"],
        vector["method"],
        vector["url"],
        vector["body"].encode(),
        vector["timestamp"],
    )

    assert made == vector["expected_signature"]


@pytest.mark.parametrize("name", ["nginx", "nginx-lua", "nginx-njs", "naive", "ovh-proxy"])
def test_all_processes_of_a_contender_end(name: str, bench: Bench) -> None:
    contender = CONTENDERS[name]
    if missing := contender.missing(bench):
        pytest.skip(missing)

    with contender.start(bench, "plain") as running:
        pid = running.pid

    assert pid is not None
    assert members(pid) == []


def test_a_contender_that_does_not_start_reports_the_reason(bench: Bench) -> None:
    broken = replace(bench, settings=("lissen: []",))

    with pytest.raises(CannotMeasureError, match="lissen"):
        CONTENDERS["ovh-proxy"].start(broken, "plain").__enter__()
