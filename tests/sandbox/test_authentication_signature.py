"""The verifier accepts what OVHcloud's SDKs sign."""

import json
from pathlib import Path
from typing import Any

import pytest

from ovh_proxy.sandbox.authentication import expected_signature, is_signature

VECTORS = Path(__file__).parent.parent / "data" / "signature_vectors.json"
KNOWN = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("known", KNOWN, ids=[known["name"] for known in KNOWN])
def test_every_known_signature_is_verified(known: dict[str, Any]) -> None:
    expected = expected_signature(
        known["application_secret"],
        known["consumer_key"],
        known["method"],
        known["url"].encode(),
        known["body"].encode(),
        str(known["timestamp"]),
    )

    assert is_signature(known["expected_signature"], expected)


@pytest.mark.parametrize("claimed", ["", "$1$", "$1$é", "$2$" + "0" * 40])
def test_any_other_signature_is_rejected(claimed: str) -> None:
    expected = expected_signature("secret", "key", "GET", b"http://localhost/1.0/me", b"", "1")

    assert not is_signature(claimed, expected)
