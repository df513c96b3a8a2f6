"""The OVHcloud request signature, made and verified."""

import hashlib
import hmac

from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import NoCredential


class SignedText:
    """The running SHA-1 hash of the text that OVHcloud signs.

    The text is secret, consumer key, method, URL, body and timestamp, in this order. The hash
    before the timestamp is stored, so a body is hashed once even if the request is signed again.

    Source: "First Steps with the OVHcloud APIs". The text contains the secret, so it is never
    stored or logged.
    """

    __slots__ = ("_hash",)

    def __init__(self, credential: ApplicationCredential, method: str, url: str) -> None:
        """Starts the text.

        Args:
            url: exactly as sent: scheme, host, path and query.

        Raises:
            NoCredential: the credential has no consumer key yet.
        """
        secret, key = credential.application_secret.reveal(), _consumer_key(credential)
        # OVHcloud requires SHA-1; the signature does not depend on its collision resistance.
        self._hash = hashlib.sha1(f"{secret}+{key}+{method}+{url}+".encode(), usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        """Adds the next piece of the body."""
        self._hash.update(chunk)

    def signature(self, timestamp: int) -> str:
        """`$1$` and 40 hexadecimal digits.

        Args:
            timestamp: whole seconds since the epoch by OVHcloud's clock.
        """
        whole = self._hash.copy()
        whole.update(b"+%d" % timestamp)
        return "$1$" + whole.hexdigest()


def sign(
    credential: ApplicationCredential, method: str, url: str, body: bytes, timestamp: int
) -> str:
    """The signature of a request with a complete body."""
    text = SignedText(credential, method, url)
    text.update(body)
    return text.signature(timestamp)


def verify(
    signature: str,
    credential: ApplicationCredential,
    method: str,
    url: str,
    body: bytes,
    timestamp: int,
) -> bool:
    """Whether the signature matches the request, compared in constant time."""
    expected = sign(credential, method, url, body, timestamp)
    return hmac.compare_digest(expected.encode(), signature.encode())


def key_headers(credential: ApplicationCredential) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with application key and consumer key, the same for every call.

    Raises:
        NoCredential: the credential has no consumer key yet.
    """
    consumer_key = _consumer_key(credential).encode()
    return (*application_header(credential), (b"X-Ovh-Consumer", consumer_key))


def signature_headers(
    credential: ApplicationCredential, signature: str, timestamp: int
) -> tuple[tuple[bytes, bytes], ...]:
    """The four authentication headers in their documented spelling and order.

    Raises:
        NoCredential: the credential has no consumer key yet.
    """
    return key_headers(credential) + proof_headers(signature, timestamp)


def proof_headers(signature: str, timestamp: int) -> tuple[tuple[bytes, bytes], ...]:
    """The headers with timestamp and signature, different for every call."""
    return (
        (b"X-Ovh-Timestamp", b"%d" % timestamp),
        (b"X-Ovh-Signature", signature.encode()),
    )


def application_header(credential: ApplicationCredential) -> tuple[tuple[bytes, bytes], ...]:
    """The header with the application key, enough to request a consumer key."""
    return ((b"X-Ovh-Application", credential.application_key.reveal().encode()),)


def _consumer_key(credential: ApplicationCredential) -> str:
    if credential.consumer_key is None:
        raise NoCredential("the profile has no consumer key yet; run: ovh-proxy login")
    return credential.consumer_key.reveal()
