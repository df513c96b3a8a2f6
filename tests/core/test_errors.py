import inspect
import re

import pytest

from ovh_proxy.core import errors
from ovh_proxy.core.errors import (
    BadRequest,
    ClientTokenRefused,
    ClientTokenRequired,
    ClockUnknown,
    ConfigurationError,
    Draining,
    NoCredential,
    Overloaded,
    OvhProxyError,
    Problem,
    ProxyTokenRefused,
    ProxyTokenRequired,
    UpstreamUnreachable,
)

# The documented answers of the proxy's own, and those to our own defects.
STATUS_OF_CODE = {
    "BAD_TARGET": 400,
    "BAD_REQUEST": 400,
    "CLIENT_TOKEN_REQUIRED": 401,
    "CLIENT_TOKEN_REFUSED": 401,
    "HOST_REFUSED": 403,
    "ORIGIN_REFUSED": 403,
    "PROFILE_REFUSED": 403,
    "ACCESS_DENIED": 403,
    "UNKNOWN_PROFILE": 404,
    "UNKNOWN_ROUTE": 404,
    "METHOD_REFUSED": 405,
    "REQUEST_TIMEOUT": 408,
    "BODY_TOO_LARGE": 413,
    "EXPECTATION_FAILED": 417,
    "HEADERS_TOO_LARGE": 431,
    "UPSTREAM_UNREACHABLE": 502,
    "UPSTREAM_TLS": 502,
    "UPSTREAM_BROKEN": 502,
    "CREDENTIAL_REFUSED": 502,
    "OVERLOADED": 503,
    "DRAINING": 503,
    "NO_CREDENTIAL": 503,
    "CLOCK_UNKNOWN": 503,
    "UPSTREAM_TIMEOUT": 504,
    "INTERNAL_ERROR": 500,
}


def classes():
    """Every error class of the module."""
    return [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, OvhProxyError)
    ]


def public_parent(error):
    """The class above it in the tree; private ones only share code."""
    return next(base.__name__ for base in error.__mro__[1:] if not base.__name__.startswith("_"))


def drawn():
    """The lines of the docstring's tree: name, parent's name, and what stands beside it."""
    lines, path = [], []
    for line in errors.__doc__.splitlines():
        match = re.match(r"((?:│   |    )*)(?:[├└]── )?([A-Z][A-Za-z]+)(?: {2,}(.*))?$", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + ("── " in line)
        path[depth:] = [match[2]]
        lines.append((match[2], path[depth - 1] if depth else "Exception", match[3] or ""))
    return lines


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes():
    tree = {name: parent for name, parent, _ in drawn()}

    assert tree == {
        error.__name__: public_parent(error)
        for error in classes()
        if not error.__name__.startswith("_")
    }


@pytest.mark.parametrize(("name", "_parent", "beside"), drawn(), ids=[row[0] for row in drawn()])
def test_what_the_tree_says_of_a_class_is_so(name, _parent, beside):
    error = getattr(errors, name)

    answer = re.match(r"(\d{3}) ([A-Z_]+)", beside)
    ends = re.match(r"exit (\d)", beside)

    assert answer is None or (int(answer[1]), answer[2]) == (error.status, error.code)
    assert ends is None or int(ends[1]) == error.exit_code


# As RFC 9110 section 15.5.8 has it for CONNECT.
STATUS_TO_A_PROXY = {"CLIENT_TOKEN_REQUIRED": 407, "CLIENT_TOKEN_REFUSED": 407}


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_every_code_has_its_documented_status(error):
    documented = STATUS_TO_A_PROXY if "Proxy" in error.__name__[:6] else STATUS_OF_CODE

    assert documented.get(error.code, STATUS_OF_CODE[error.code]) == error.status


def test_every_documented_code_is_there():
    assert {error.code for error in classes()} == STATUS_OF_CODE.keys()


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_a_command_that_fails_ends_with_1_and_with_2_on_usage_or_configuration(error):
    expected = 2 if error.__name__ in ("ConfigurationError", "UsageError") else 1

    assert error.exit_code == expected


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_a_connection_ends_where_the_framing_of_its_request_is_lost(error):
    ending = {
        "BadRequest",
        "MethodRefused",
        "RequestTimeout",
        "BodyTooLarge",
        "ExpectationFailed",
        "HeadersTooLarge",
        "Draining",
    }

    assert error.closes is (error.__name__ in ending)


def test_the_text_of_an_error_is_the_one_it_was_raised_with():
    assert str(BadRequest("no Host")) == "no Host"


def test_most_errors_answer_without_further_headers():
    assert BadRequest("no Host").headers == ()


@pytest.mark.parametrize("error", [ClientTokenRequired, ClientTokenRefused])
def test_a_401_names_the_schemes_that_would_do(error):
    assert error("no").headers == (
        (b"WWW-Authenticate", b'Bearer realm="ovh-proxy", Basic realm="ovh-proxy"'),
    )


@pytest.mark.parametrize("error", [ProxyTokenRequired, ProxyTokenRefused])
def test_a_407_names_the_scheme_that_stands_in_the_url_of_a_proxy(error):
    assert error("no").headers == ((b"Proxy-Authenticate", b'Basic realm="ovh-proxy"'),)


def test_a_405_says_what_would_be_allowed():
    assert errors.MethodRefused("no").headers == (
        (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    )


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (Overloaded("no"), ((b"Retry-After", b"1"),)),
        (Overloaded("no", retry_after=42), ((b"Retry-After", b"42"),)),
        (Draining("no"), ((b"Retry-After", b"1"),)),
        (ClockUnknown("no"), ((b"Retry-After", b"5"),)),
        (NoCredential("no"), ()),
    ],
    ids=["overloaded", "with seconds", "draining", "clock", "no credential"],
)
def test_a_503_says_when_another_try_makes_sense(error, headers):
    assert error.headers == headers


@pytest.mark.parametrize(
    "facts", [{}, {"nothing_arrived": True}, {"on_kept_connection": True}], ids=repr
)
def test_a_failure_knows_what_may_have_arrived(facts):
    failure = UpstreamUnreachable("refused", **facts)

    known = {
        "nothing_arrived": failure.nothing_arrived,
        "on_kept_connection": failure.on_kept_connection,
    }
    assert known == {"nothing_arrived": False, "on_kept_connection": False} | facts
    assert str(failure) == "refused"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a.yaml", 3, "profiles.prod", "unknown"), "a.yaml:3: profiles.prod: unknown"),
        (Problem("a.yaml", 0, "profiles.prod", "unknown"), "a.yaml: profiles.prod: unknown"),
        (Problem("a.yaml", 3, "", "no YAML"), "a.yaml:3: no YAML"),
        (Problem("environment", 0, "", "unset"), "environment: unset"),
    ],
    ids=["line and path", "path", "line", "neither"],
)
def test_a_problem_says_where_and_what(problem, text):
    assert str(problem) == text


def test_a_configuration_error_names_every_problem_in_order():
    problems = (Problem("b.yaml", 2, "x", "one"), Problem("a.yaml", 1, "y", "two"))

    error = ConfigurationError(problems)

    assert str(error) == "b.yaml:2: x: one\na.yaml:1: y: two"
    assert error.problems == problems


def test_the_text_of_an_error_is_its_message_alone():
    failure = Overloaded("too many requests at once", 5)

    assert str(failure) == "too many requests at once"
    assert failure.headers == ((b"Retry-After", b"5"),)
