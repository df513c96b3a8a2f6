"""Every error that is raised on purpose, and what each one answers with.

OvhProxyError
├── RequestRefused                     the proxy rejects the client's request
│   ├── BadRequest                     400 BAD_REQUEST
│   ├── UnnamedProfile                 400 BAD_REQUEST
│   ├── BadTarget                      400 BAD_TARGET
│   ├── ClientTokenRequired            401 CLIENT_TOKEN_REQUIRED
│   ├── ClientTokenRefused             401 CLIENT_TOKEN_REFUSED
│   ├── ProxyTokenRequired             407 CLIENT_TOKEN_REQUIRED
│   ├── ProxyTokenRefused              407 CLIENT_TOKEN_REFUSED
│   ├── HostRefused                    403 HOST_REFUSED
│   ├── OriginRefused                  403 ORIGIN_REFUSED
│   ├── ProfileRefused                 403 PROFILE_REFUSED
│   ├── AccessDenied                   403 ACCESS_DENIED
│   ├── UnknownProfile                 404 UNKNOWN_PROFILE
│   ├── UnknownRoute                   404 UNKNOWN_ROUTE
│   ├── MethodRefused                  405 METHOD_REFUSED
│   ├── RequestTimeout                 408 REQUEST_TIMEOUT
│   ├── BodyTooLarge                   413 BODY_TOO_LARGE
│   ├── ExpectationFailed              417 EXPECTATION_FAILED
│   └── HeadersTooLarge                431 HEADERS_TOO_LARGE
├── UpstreamFailed                     no valid response from OVHcloud
│   ├── UpstreamUnreachable            502 UPSTREAM_UNREACHABLE
│   ├── UpstreamTls                    502 UPSTREAM_TLS
│   ├── UpstreamBroken                 502 UPSTREAM_BROKEN
│   ├── CredentialRefused              502 CREDENTIAL_REFUSED
│   └── UpstreamTimeout                504 UPSTREAM_TIMEOUT
├── NotNow                             the proxy cannot serve the request now
│   ├── Overloaded                     503 OVERLOADED
│   ├── Draining                       503 DRAINING
│   ├── NoCredential                   503 NO_CREDENTIAL
│   └── ClockUnknown                   503 CLOCK_UNKNOWN
├── InternalError                      500 INTERNAL_ERROR: a bug in ovh-proxy
├── ConfigurationError                 exit 2, every problem at once
├── UsageError                         exit 2
└── CommandFailed                      exit 1
    └── ListenFailed                   exit 1, names the address
"""

from dataclasses import dataclass
from typing import ClassVar


class OvhProxyError(Exception):
    """The root of the tree; its text is shown to users and contains no secret.

    Attributes:
        status: HTTP status of the response.
        code: the value of `X-Ovh-Proxy-Error` and `errorCode`.
        exit_code: exit code of a command.
        closes: whether the response closes the client's connection, because its framing is lost.
        headers: additional headers of the response.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    exit_code: ClassVar[int] = 1
    closes: ClassVar[bool] = False

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()


class RequestRefused(OvhProxyError):
    """The proxy rejects the client's request."""


class BadRequest(RequestRefused):
    status, code, closes = 400, "BAD_REQUEST", True


class UnnamedProfile(RequestRefused):
    """Several profiles, no default, and the request names none; it is well-formed otherwise."""

    status, code = 400, "BAD_REQUEST"


class BadTarget(RequestRefused):
    status, code = 400, "BAD_TARGET"


class _Unauthorized(RequestRefused):
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        # RFC 9110 section 11.6.1: a 401 lists the accepted schemes.
        return ((b"WWW-Authenticate", b'Bearer realm="ovh-proxy", Basic realm="ovh-proxy"'),)


class ClientTokenRequired(_Unauthorized):
    status, code = 401, "CLIENT_TOKEN_REQUIRED"


class ClientTokenRefused(_Unauthorized):
    status, code = 401, "CLIENT_TOKEN_REFUSED"


class _ProxyUnauthorized(RequestRefused):
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        # RFC 9110 section 11.7.1. Only Basic: clients take it from the proxy's URL.
        return ((b"Proxy-Authenticate", b'Basic realm="ovh-proxy"'),)


class ProxyTokenRequired(_ProxyUnauthorized):
    status, code = 407, "CLIENT_TOKEN_REQUIRED"


class ProxyTokenRefused(_ProxyUnauthorized):
    status, code = 407, "CLIENT_TOKEN_REFUSED"


class HostRefused(RequestRefused):
    status, code = 403, "HOST_REFUSED"


class OriginRefused(RequestRefused):
    status, code = 403, "ORIGIN_REFUSED"


class ProfileRefused(RequestRefused):
    status, code = 403, "PROFILE_REFUSED"


class AccessDenied(RequestRefused):
    status, code = 403, "ACCESS_DENIED"


class UnknownProfile(RequestRefused):
    status, code = 404, "UNKNOWN_PROFILE"


class UnknownRoute(RequestRefused):
    status, code = 404, "UNKNOWN_ROUTE"


class MethodRefused(RequestRefused):
    status, code, closes = 405, "METHOD_REFUSED", True

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        # RFC 9110 section 15.5.6: a 405 lists the allowed methods.
        return ((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)


class RequestTimeout(RequestRefused):
    status, code, closes = 408, "REQUEST_TIMEOUT", True


class BodyTooLarge(RequestRefused):
    status, code, closes = 413, "BODY_TOO_LARGE", True


class ExpectationFailed(RequestRefused):
    status, code, closes = 417, "EXPECTATION_FAILED", True


class HeadersTooLarge(RequestRefused):
    status, code, closes = 431, "HEADERS_TOO_LARGE", True


class UpstreamFailed(OvhProxyError):
    """OVHcloud is unreachable, or its response is invalid.

    Attributes:
        nothing_arrived: no byte of the request can have reached OVHcloud.
        on_kept_connection: an idle connection was reused, and closed before the first byte of the
            response; the request may have arrived.
    """

    status, code = 502, "UPSTREAM_BROKEN"

    def __init__(
        self, message: str, *, nothing_arrived: bool = False, on_kept_connection: bool = False
    ) -> None:
        super().__init__(message)
        self.nothing_arrived = nothing_arrived
        self.on_kept_connection = on_kept_connection


class UpstreamUnreachable(UpstreamFailed):
    status, code = 502, "UPSTREAM_UNREACHABLE"


class UpstreamTls(UpstreamFailed):
    status, code = 502, "UPSTREAM_TLS"


class UpstreamBroken(UpstreamFailed):
    status, code = 502, "UPSTREAM_BROKEN"


class CredentialRefused(UpstreamFailed):
    status, code = 502, "CREDENTIAL_REFUSED"


class UpstreamTimeout(UpstreamFailed):
    status, code = 504, "UPSTREAM_TIMEOUT"


class NotNow(OvhProxyError):
    """The proxy cannot serve the request now.

    Attributes:
        retry_after: whole seconds until a retry makes sense; 0 if waiting does not help.
    """

    status, code = 503, "OVERLOADED"
    retry_after = 0

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Retry-After", b"%d" % self.retry_after),) if self.retry_after else ()


class Overloaded(NotNow):
    status, code = 503, "OVERLOADED"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Draining(NotNow):
    status, code, closes = 503, "DRAINING", True
    retry_after = 1


class NoCredential(NotNow):
    status, code = 503, "NO_CREDENTIAL"


class ClockUnknown(NotNow):
    status, code = 503, "CLOCK_UNKNOWN"
    retry_after = 5


class InternalError(OvhProxyError):
    """A bug in ovh-proxy: the log names the class of its cause, the response does not."""


class UsageError(OvhProxyError):
    exit_code = 2


class CommandFailed(OvhProxyError):
    exit_code = 1


class ListenFailed(CommandFailed):
    """A listener cannot bind; the text names its address."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a configuration file.

    Attributes:
        source: the file, or `environment`.
        line: counted from 1; 0 if there is none.
        path: dotted, such as `profiles.prod.consumer_key`; empty for the file as a whole.
        message: what is wrong and how to fix it, without secrets.
    """

    source: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigurationError(OvhProxyError):
    """All problems of one or several files, in order."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
