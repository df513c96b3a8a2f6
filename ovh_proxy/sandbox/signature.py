"""The signature of a request, checked as OVHcloud's documentation describes it."""

import hashlib
import hmac


def expected_signature(
    application_secret: str,
    consumer_key: str,
    method: str,
    url: bytes,
    body: bytes,
    timestamp: str,
) -> str:
    """What `X-Ovh-Signature` has to say.

    Args:
        url: scheme, host, path and query, byte for byte as on the wire.
        timestamp: as written in `X-Ovh-Timestamp`.

    Source: "First Steps with the OVHcloud APIs": `"$1$" + SHA1_HEX(AS+"+"+CK+"+"+METHOD+"+"+
    QUERY+"+"+BODY+"+"+TSTAMP)`. SHA-1 is OVHcloud's choice; there is no other version.
    """
    parts = (
        application_secret.encode(),
        consumer_key.encode(),
        method.encode(),
        url,
        body,
        timestamp.encode(),
    )
    return "$1$" + hashlib.sha1(b"+".join(parts), usedforsecurity=False).hexdigest()


def is_signature(claimed: str, expected: str) -> bool:
    """Whether both are the same, without telling by the time it takes where they differ."""
    return hmac.compare_digest(claimed.encode(), expected.encode())
