"""docs/logs.md describes what the log, the audit log and the traces contain."""

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ovh_proxy
from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.logs import Log
from ovh_proxy.observability.access_log import log_request
from ovh_proxy.observability.audit import Audit, AuditFile
from ovh_proxy.observability.span_attributes import call_end, call_start, server_start

PAGE = (Path(__file__).parents[1] / "docs" / "logs.md").read_text()
PACKAGE = Path(ovh_proxy.__file__).parent


def fields_of(heading: str) -> set[str]:
    """The names in the first table below a heading."""
    below = PAGE.partition(f"{heading}\n")[2]
    rows = below.partition("\n|---|")[2].split("\n\n")[0].splitlines()[1:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def full_exchange(peer: str | int) -> Exchange:
    """A request with all attributes set."""
    exchange = Exchange(0.0, "GET", b"/me?x=1")
    exchange.is_target_read = True
    exchange.status, exchange.upstream_status = 502, 502
    exchange.code, exchange.query_id, exchange.peer = "UPSTREAM_BROKEN", "EU.ext-1", peer
    return exchange


def log_calls() -> Iterator[ast.Call]:
    """Every call in the package that writes a line other than a request's."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        attr="write",
                        value=ast.Name(id="log") | ast.Attribute(attr="log" | "_log"),
                    )
                    | ast.Attribute(attr="_complain")
                ):
                    yield node


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_field_of_a_request_line_is_documented(form: str) -> None:
    text = io.StringIO()

    log_request(Log("info", form, text), full_exchange("::1"), 1.0)

    named = re.findall(r'"(\w+)": ' if form == "json" else r"(\w+)=", text.getvalue())
    assert {*named, "time", "level", "message"} == fields_of("### Request lines")


def test_each_field_of_any_other_line_is_documented() -> None:
    # The fields of a worker that ended are passed by `**`.
    written = {word.arg for call in log_calls() for word in call.keywords if word.arg}

    assert written | {"worker", "pid", "again_s"} == fields_of("### Other lines")


def test_each_documented_message_is_written() -> None:
    written = {
        call.args[1].value
        for call in log_calls()
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant)
    }

    table = PAGE.partition("| message | what to do |")[2].split("\n\n")[0]
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) <= written


def test_each_field_of_an_audit_line_is_documented(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = Audit(AuditFile(str(path), Log()))

    for peer in ("::1", 1000):
        audit.end(full_exchange(peer))

    audit.close()
    written = {name for line in path.read_text().splitlines() for name in json.loads(line)}
    assert written == fields_of("## The audit log")


def test_each_attribute_of_a_span_is_documented() -> None:
    described = {
        **server_start("PURGE", b"/", "http", "127.0.0.1", 1),
        **call_start("GET", "https://eu.api.ovh.com/1.0/me"),
        **call_end(502, None, 2, "EU.ext-1"),
    }
    source = (PACKAGE / "observability" / "otel.py").read_text()
    set_later = set(re.findall(r'set_attribute\(\s*"([^"]+)"', source))

    assert {*described, *set_later} == fields_of("## Traces")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_the_examples_have_the_fields_of_a_line(kind: str) -> None:
    [example] = re.findall(rf"```{kind}\n(.*)\n```", PAGE)

    named = set(re.findall(r'"(\w+)": ' if kind == "json" else r"(\w+)=", example))
    assert named <= fields_of("### Request lines")
    assert {"request_id", "client", "profile", "path", "status", "total_ms"} <= named
