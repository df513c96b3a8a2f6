"""The tokens that clients show, and whose they are."""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable

from ovh_proxy.core.settings import Client, Listener
from ovh_proxy.policy.headers import RequestHeaders


def client_of(
    shown: Iterable[bytes], listener: Listener, clients: tuple[Client, ...]
) -> Client | None:
    """The client whose token is among those shown, if it may use this listener; the last one's."""
    allowed = listener.clients
    client = None
    # Every token against every client, found or not: the time taken tells nothing.
    for token in shown:
        digest = hashlib.sha256(token).digest()
        for known in clients:
            is_its_own = hmac.compare_digest(digest, known.digest)
            if is_its_own and (not allowed or known.name in allowed):
                client = known
    return client


def shown_tokens(headers: RequestHeaders) -> list[bytes]:
    """Whatever may be a client token: X-Ovh-Application, Bearer, the password of Basic."""
    shown = [token for token in headers.all(b"x-ovh-application") if token]
    return shown + _credentials(headers.one(b"authorization"))


def proxy_tokens(headers: RequestHeaders) -> list[bytes]:
    """The same of what is said to a proxy alone: Bearer, the password of Basic."""
    return _credentials(headers.one(b"proxy-authorization"))


def _credentials(value: bytes | None) -> list[bytes]:
    scheme, _, rest = (value or b"").partition(b" ")
    if scheme.lower() == b"bearer" and rest.strip():
        return [rest.strip()]
    if scheme.lower() == b"basic":
        try:
            password = b64decode(rest.strip(), validate=True).partition(b":")[2]
        except ValueError:
            password = b""
        return [password] if password else []
    return []
