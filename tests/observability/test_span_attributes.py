"""The attributes of spans, after OpenTelemetry's semantic conventions."""

import pytest

from ovh_proxy.observability.span_attributes import (
    call_end,
    call_start,
    server_error,
    server_start,
    span_name,
)

# RFC 9110 section 9, and RFC 5789.
KNOWN = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


@pytest.mark.parametrize(
    ("method", "name"), [*zip(KNOWN, KNOWN, strict=True), ("PURGE", "HTTP"), ("get", "HTTP")]
)
def test_the_name_of_a_span_is_only_its_method(method, name):
    assert span_name(method) == name


def test_a_method_outside_the_conventions_has_an_attribute_of_its_own():
    described = server_start("PURGE", b"/me", "http", "127.0.0.1", 8080)

    assert described["http.request.method"] == "_OTHER"
    assert described["http.request.method_original"] == "PURGE"


def test_a_request_is_described_without_its_query():
    described = server_start("GET", b"/me?token=hush#hush", "https", "::1", 8443)

    assert described == {
        "http.request.method": "GET",
        "server.address": "::1",
        "server.port": 8443,
        "url.path": "/me",
        "url.scheme": "https",
    }


def test_a_unix_socket_has_no_port():
    assert "server.port" not in server_start("GET", b"/me", "http", "/run/api.sock", 0)


@pytest.mark.parametrize(
    ("url", "host", "port", "shown"),
    [
        (
            "https://eu.api.ovh.com/1.0/ip/192.0.2.0%2F24?a=hush",
            "eu.api.ovh.com",
            443,
            "https://eu.api.ovh.com/1.0/ip/192.0.2.0%2F24",
        ),
        ("http://127.0.0.1/1.0/me", "127.0.0.1", 80, "http://127.0.0.1/1.0/me"),
        ("http://[::1]:8080/1.0/me?x", "::1", 8080, "http://[::1]:8080/1.0/me"),
    ],
    ids=["the usual port", "plain", "IPv6"],
)
def test_a_call_is_described_by_its_url_without_the_query(url, host, port, shown):
    assert call_start("GET", url) == {
        "http.request.method": "GET",
        "server.address": host,
        "server.port": port,
        "url.full": shown,
    }


@pytest.mark.parametrize(
    ("end", "described"),
    [
        pytest.param((200, None, 1, None), {"http.response.status_code": 200}, id="well"),
        pytest.param(
            (200, None, 2, "EU.ext-1"),
            {
                "http.response.status_code": 200,
                "http.request.resend_count": 1,
                "ovh_proxy.query_id": "EU.ext-1",
            },
            id="at the second try",
        ),
        pytest.param((399, None, 1, None), {"http.response.status_code": 399}, id="no error yet"),
        pytest.param(
            (400, None, 1, None),
            {"http.response.status_code": 400, "error.type": "400"},
            id="for a client 4xx is an error",
        ),
        pytest.param(
            (None, "UPSTREAM_TIMEOUT", 1, None), {"error.type": "UPSTREAM_TIMEOUT"}, id="no answer"
        ),
        pytest.param((None, None, 1, None), {"error.type": "client_left"}, id="nobody waits"),
    ],
)
def test_the_end_of_a_call_is_described(end, described):
    assert call_end(*end) == described


@pytest.mark.parametrize(
    ("status", "code", "outcome", "error"),
    [
        (200, None, "relayed", None),
        (404, None, "relayed", None),
        (499, None, "relayed", None),
        (500, None, "relayed", "500"),
        (502, None, "relayed", "502"),
        (403, "ACCESS_DENIED", "refused", None),
        (504, "UPSTREAM_TIMEOUT", "failed", "UPSTREAM_TIMEOUT"),
        (200, "UPSTREAM_BROKEN", "cut", "UPSTREAM_BROKEN"),
        (200, None, "cut", "cut"),
        (499, None, "client_left", None),
        (502, None, "client_left", None),
    ],
)
def test_a_request_failed_if_the_client_did_not_cause_it(status, code, outcome, error):
    assert server_error(status, code, outcome) == error
