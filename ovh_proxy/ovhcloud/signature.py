"""The OVHcloud request signature, made and verified."""

import hashlib
import hmac

from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import NoCredential


class SignedText:
    """The text of one request that OVHcloud hashes, as far as it is known.

    SHA-1 takes the text in order: secret, consumer key, method, URL, then the body as it comes in,
    at last a timestamp. The running hash is kept, so that a body is hashed once however often the
    request is signed.

    Source: "First Steps with the OVHcloud APIs"; the secret is in the text, so that nothing of it
    is ever logged or kept.
    """

    __slots__ = ("_hash",)

    def __init__(self, credential: ApplicationCredential, method: str, url: str) -> None:
        """Starts the text.

        Args:
            url: exactly as it is sent: scheme, host, path and query.

        Raises:
            NoCredential: the credential has no consumer key yet.
        """
        secret, key = credential.application_secret.reveal(), _consumer_key(credential)
        # SHA-1 is OVHcloud's choice, not ours; nothing here rests on its collision resistance.
        self._hash = hashlib.sha1(f"{secret}+{key}+{method}+{url}+".encode(), usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        """The next piece of the body."""
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
    """The signature of a request whose body is at hand."""
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
    """Whether a signature is that of the request, in constant time."""
    expected = sign(credential, method, url, body, timestamp)
    return hmac.compare_digest(expected.encode(), signature.encode())


def key_headers(credential: ApplicationCredential) -> tuple[tuple[bytes, bytes], ...]:
    """The two headers that say who calls, the same for every call.

    Raises:
        NoCredential: the credential has no consumer key yet.
    """
    consumer_key = _consumer_key(credential).encode()
    return (*application_header(credential), (b"X-Ovh-Consumer", consumer_key))


def signature_headers(
    credential: ApplicationCredential, signature: str, timestamp: int
) -> tuple[tuple[bytes, bytes], ...]:
    """The four headers that prove who calls, in their documented spelling and order.

    Raises:
        NoCredential: the credential has no consumer key yet.
    """
    return key_headers(credential) + proof_headers(signature, timestamp)


def proof_headers(signature: str, timestamp: int) -> tuple[tuple[bytes, bytes], ...]:
    """The two headers that prove it, new for each call; they come behind those."""
    return (
        (b"X-Ovh-Timestamp", b"%d" % timestamp),
        (b"X-Ovh-Signature", signature.encode()),
    )


def application_header(credential: ApplicationCredential) -> tuple[tuple[bytes, bytes], ...]:
    """The one header by which a consumer key is asked for."""
    return ((b"X-Ovh-Application", credential.application_key.reveal().encode()),)


def _consumer_key(credential: ApplicationCredential) -> str:
    if credential.consumer_key is None:
        raise NoCredential("this profile has no consumer key yet; run: ovh-proxy login")
    return credential.consumer_key.reveal()
