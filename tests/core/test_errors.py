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

# The documented responses of the proxy itself, including internal errors.
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


def tree_lines():
    """The lines of the docstring's tree: name, name of the parent, and the text after it."""
    lines, path = [], []
    for line in errors.__doc__.splitlines():
        match = re.match(r"((?:│   |    )*)(?:[├└]── )?([A-Z][A-Za-z]+)(?: {2,}(.*))?$", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + ("── " in line)
        path[depth:] = [match[2]]
        lines.append((match[2], path[depth - 1] if depth else "Exception", match[3] or ""))
    return lines


TREE = tree_lines()


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes():
    tree = {name: parent for name, parent, _ in TREE}

    assert tree == {
        error.__name__: public_parent(error)
        for error in classes()
        if not error.__name__.startswith("_")
    }


@pytest.mark.parametrize(("name", "_parent", "text"), TREE, ids=[row[0] for row in TREE])
def test_the_tree_shows_the_status_and_code_of_each_class(name, _parent, text):
    error = getattr(errors, name)

    response = re.match(r"(\d{3}) ([A-Z_]+)", text)
    exit_code = re.match(r"exit (\d)", text)

    assert response is None or (int(response[1]), response[2]) == (error.status, error.code)
    assert exit_code is None or int(exit_code[1]) == error.exit_code


# RFC 9110 section 15.5.8: a proxy answers 407 instead of 401.
STATUS_TO_A_PROXY = {"CLIENT_TOKEN_REQUIRED": 407, "CLIENT_TOKEN_REFUSED": 407}


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_every_code_has_its_documented_status(error):
    documented = STATUS_TO_A_PROXY if "Proxy" in error.__name__[:6] else STATUS_OF_CODE

    assert documented.get(error.code, STATUS_OF_CODE[error.code]) == error.status


def test_every_documented_code_exists():
    assert {error.code for error in classes()} == STATUS_OF_CODE.keys()


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_commands_exit_with_1_and_with_2_on_usage_or_configuration_errors(error):
    expected = 2 if error.__name__ in ("ConfigurationError", "UsageError") else 1

    assert error.exit_code == expected


@pytest.mark.parametrize("error", classes(), ids=lambda error: error.__name__)
def test_an_error_that_loses_the_framing_closes_the_connection(error):
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


def test_str_of_an_error_is_its_message():
    assert str(BadRequest("no Host")) == "no Host"


def test_most_errors_have_no_additional_headers():
    assert BadRequest("no Host").headers == ()


@pytest.mark.parametrize("error", [ClientTokenRequired, ClientTokenRefused])
def test_a_401_lists_the_accepted_schemes(error):
    assert error("no").headers == (
        (b"WWW-Authenticate", b'Bearer realm="ovh-proxy", Basic realm="ovh-proxy"'),
    )


@pytest.mark.parametrize("error", [ProxyTokenRequired, ProxyTokenRefused])
def test_a_407_lists_the_scheme_of_proxy_urls(error):
    assert error("no").headers == ((b"Proxy-Authenticate", b'Basic realm="ovh-proxy"'),)


def test_a_405_lists_the_allowed_methods():
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
def test_a_503_says_when_to_retry(error, headers):
    assert error.headers == headers


@pytest.mark.parametrize(
    "facts", [{}, {"nothing_arrived": True}, {"on_kept_connection": True}], ids=repr
)
def test_a_failure_records_what_may_have_arrived(facts):
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
def test_a_problem_shows_its_location_and_message(problem, text):
    assert str(problem) == text


def test_a_configuration_error_lists_every_problem_in_order():
    problems = (Problem("b.yaml", 2, "x", "one"), Problem("a.yaml", 1, "y", "two"))

    error = ConfigurationError(problems)

    assert str(error) == "b.yaml:2: x: one\na.yaml:1: y: two"
    assert error.problems == problems


def test_str_of_an_error_has_nothing_but_its_message():
    failure = Overloaded("too many requests at once", 5)

    assert str(failure) == "too many requests at once"
    assert failure.headers == ((b"Retry-After", b"5"),)
