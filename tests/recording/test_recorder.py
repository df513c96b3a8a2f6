import asyncio
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Timeouts, Upstream
from ovh_proxy.core.target import decode_path
from ovh_proxy.logs import Log
from ovh_proxy.policy.routing import Route
from ovh_proxy.proxy.forwarder import NoRecorder
from ovh_proxy.recording.calls import RecordedCall
from ovh_proxy.recording.recorder import Recorder, SchemaClient
from ovh_proxy.recording.recording_file import (
    Recording,
    SchemaFiles,
    open_recording,
    read_recording,
)
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.upstream.pool import Pool

pytestmark = pytest.mark.asyncio

BOUND_S = 10.0
SECTION = json.dumps(
    {"apis": [{"path": "/sms/{serviceName}/jobs", "operations": [{"httpMethod": "GET"}]}]}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The recording's file."""
    return tmp_path / "rules.jsonl"


@pytest.fixture
def schema(tmp_path: Path) -> SchemaFiles:
    """The API's schema in one file."""
    (tmp_path / "sms.json").write_text(SECTION)
    return SchemaFiles(str(tmp_path))


@pytest.fixture
def log() -> io.StringIO:
    """The log."""
    return io.StringIO()


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Pool]:
    """The pool of the recorder."""
    pool = Pool(Upstream(), Timeouts())
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def make(pool: Pool, log: io.StringIO) -> AsyncIterator[Callable[[Recording], Recorder]]:
    """Makes recorders; they are closed at the end of the test."""
    made: list[Recorder] = []

    def making(recording: Recording, **options: Any) -> Recorder:
        made.append(Recorder(recording, SchemaClient(pool), Log("debug", "json", log), **options))
        return made[-1]

    yield making
    for recorder in made:
        await recorder.close()


def _route(path: str, endpoint: str = "http://127.0.0.1:9/1.0", profile: str = "personal") -> Route:
    owner = Profile(profile, parse_endpoint(endpoint), AccessToken(Secret("made up")))
    return Route(owner, f"{endpoint}{path}", path, decode_path(path), "")


def _recorded(file: Path) -> list[str]:
    return [str(call) for call in read_recording(str(file))]


def _records(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def _settled(recorder: Recorder) -> None:
    async with asyncio.timeout(BOUND_S):
        await recorder.settled()


async def test_a_new_kind_of_call_is_written_at_once(
    file: Path, schema: SchemaFiles, make: Any
) -> None:
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route("/sms/plain-name/jobs"), "GET", 200, None)

    await _settled(recorder)
    assert _recorded(file) == ["GET /sms/*/jobs"]


async def test_each_kind_is_written_once(file: Path, schema: SchemaFiles, make: Any) -> None:
    recorder = make(open_recording(str(file), schema))

    for name in ("a", "b", "a", "b", "c"):
        recorder.record(_route(f"/sms/{name}/jobs"), "GET", 200, None)
    await recorder.close()

    assert len(file.read_text().splitlines()) == 1


async def test_calls_in_the_file_are_not_written_again(
    file: Path, schema: SchemaFiles, make: Any
) -> None:
    known = RecordedCall("personal", "http://127.0.0.1:9/1.0", "/sms/*/jobs", "GET")
    file.write_text(known.to_line())
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route("/sms/a/jobs"), "GET", 200, None)
    recorder.record(_route("/sms/a/jobs", profile="robot"), "GET", 200, None)
    await recorder.close()

    assert [call.profile for call in read_recording(str(file))] == ["personal", "robot"]
    assert len(file.read_text().splitlines()) == 2


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 409, 460, 500])
async def test_a_call_counts_whatever_the_route_responds(
    file: Path, schema: SchemaFiles, make: Any, status: int
) -> None:
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route("/sms/a/jobs"), "GET", status, None)
    await recorder.close()

    assert _recorded(file) == ["GET /sms/*/jobs"]


@pytest.mark.parametrize(
    ("path", "status", "refusal"),
    [
        ("/sms/a/jobs", 401, None),
        ("/sms/a/jobs", 403, None),
        ("/sms/a/jobs", 403, "NOT_GRANTED_CALL"),
        ("/sms/a/jobs", 400, "INVALID_SIGNATURE"),
        ("/sms/a/jobs", 405, None),
        ("/sms/a/jobs", 501, None),
        ("/no/such/route", 404, None),
        ("/auth/time", 200, None),
        ("/*", 200, None),
    ],
)
async def test_refused_calls_are_not_written(
    file: Path, schema: SchemaFiles, make: Any, path: str, status: int, refusal: str | None
) -> None:
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route(path), "GET", status, refusal)
    await recorder.close()

    assert file.read_bytes() == b""


async def test_a_route_that_was_missing_is_written_once_it_responds(
    file: Path, schema: SchemaFiles, make: Any
) -> None:
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route("/other"), "GET", 404, None)
    recorder.record(_route("/other"), "GET", 200, None)
    await recorder.close()

    assert _recorded(file) == ["GET /other"]


async def test_head_is_written_as_get(file: Path, schema: SchemaFiles, make: Any) -> None:
    recorder = make(open_recording(str(file), schema))

    recorder.record(_route("/sms/a/jobs"), "HEAD", 200, None)
    await recorder.close()

    assert _recorded(file) == ["GET /sms/*/jobs"]


async def test_identifiers_are_recognised_by_the_endpoints_schema(file: Path, make: Any) -> None:
    async with Sandbox() as sandbox:
        recorder = make(open_recording(str(file)))

        recorder.record(_route("/domain/zone/word/record", sandbox.base_url), "POST", 200, None)
        await recorder.close()

    assert _recorded(file) == ["POST /domain/zone/*/record"]


async def test_a_missing_schema_is_logged_once(file: Path, make: Any, log: io.StringIO) -> None:
    recorder = make(open_recording(str(file)))

    for path in ("/domain/zone/example.org", "/domain/zone/word", "/me/bill/FR1"):
        recorder.record(_route(path), "GET", 200, None)
    await recorder.close()

    assert _recorded(file) == ["GET /domain/zone/*", "GET /domain/zone/word", "GET /me/bill/*"]
    assert [record["message"] for record in _records(log)] == [
        "cannot load the API schema; identifiers are recognised by their shape"
    ]


async def test_closing_does_not_wait_for_a_silent_endpoint(file: Path, make: Any) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/1.0"
    recorder = make(open_recording(str(file)), close_s=0.05)
    recorder.record(_route("/domain/zone/example.org", endpoint), "GET", 200, None)
    recorder.record(_route("/domain/zone/unknown", endpoint), "GET", 404, None)

    await recorder.close()
    server.close()

    assert _recorded(file) == ["GET /domain/zone/*"]


async def test_a_file_that_cannot_be_written_is_logged_once_and_retried(
    tmp_path: Path, schema: SchemaFiles, make: Any, log: io.StringIO
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    recording = open_recording(str(folder / "rules"), schema)
    (folder / "rules").unlink()
    folder.rmdir()
    recorder = make(recording)
    recorder.record(_route("/sms/a/jobs"), "GET", 200, None)
    await _settled(recorder)

    recorder.record(_route("/sms/a/other"), "GET", 200, None)
    await _settled(recorder)
    folder.mkdir()
    await recorder.close()

    assert _recorded(folder / "rules") == ["GET /sms/*/jobs", "GET /sms/a/other"]
    assert [record["message"] for record in _records(log)] == ["cannot write the recording"]


async def test_a_broken_schema_file_stops_nothing(
    file: Path, tmp_path: Path, make: Any, log: io.StringIO
) -> None:
    (tmp_path / "sms.json").write_text("garbage")
    recorder = make(open_recording(str(file), SchemaFiles(str(tmp_path))))

    recorder.record(_route("/sms/7/jobs"), "GET", 200, None)
    await recorder.close()

    assert _recorded(file) == ["GET /sms/*/jobs"]
    assert "sms.json" in _records(log)[0]["error"]


async def test_unlimited_names_do_not_fill_memory_or_disk(
    file: Path, schema: SchemaFiles, make: Any, log: io.StringIO
) -> None:
    recorder = make(replace(open_recording(str(file), schema), max_calls=3))

    for name in "abcdef":
        recorder.record(_route(f"/unknown/{name}"), "GET", 200, None)
    await recorder.close()

    assert len(_recorded(file)) == 3
    assert [record["message"] for record in _records(log)] == [
        "the recording is full; start a new file, with --schema"
    ]


async def test_calls_beyond_the_queue_are_recorded_later(
    file: Path, schema: SchemaFiles, make: Any
) -> None:
    recorder = make(open_recording(str(file), schema))
    for number in range(1000):
        recorder.record(_route(f"/a/{number}"), "GET", 200, None)
    recorder.record(_route("/late"), "GET", 200, None)
    await _settled(recorder)
    before = _recorded(file)

    recorder.record(_route("/late"), "GET", 200, None)
    await recorder.close()

    assert (before, _recorded(file)) == (["GET /a/*"], ["GET /a/*", "GET /late"])


async def test_unlimited_identifiers_do_not_fill_memory(file: Path, make: Any) -> None:
    recorder = make(open_recording(str(file)))
    route = _route("/a")
    tracemalloc.start()

    # Missing routes are handled like any others, but need no thread and add no rule.
    for number in range(9000):
        path = f"/a/{number:0400}"
        recorder.record(replace(route, path=path), "GET", 404, None)
        if number < 300:
            recorder.record(replace(route, path=path * 60), "GET", 404, None)
        if number % 100 == 0:
            await _settled(recorder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # 4096 short paths and the queue; all paths, or the long ones, would need far more.
    assert peak < 4_000_000


async def test_nothing_is_recorded_without_a_recording() -> None:
    recorder = NoRecorder()

    recorder.record(_route("/me"), "GET", 200, None)
    await recorder.close()
