import pytest

from ovh_proxy.recording.calls import is_identifier


@pytest.mark.parametrize(
    "segment",
    [
        "1",
        "0033123456789",
        "+33123456789",
        "192.0.2.1",
        "192.0.2.0%2F24",
        "192.0.2.0%252F24",
        "2001:db8::1",
        "2001%3Adb8%3A%3A%2F32",
        "123e4567-e89b-12d3-a456-426614174000",
        "0123456789abcdef0123456789abcdef",
        "abcdefabcdefabcd",
        "1a2b3c4d",
        "example.org",
        "example.org.",
        "www.example.co.uk",
        "me.json.example.org",
        "_acme-challenge.example.org",
        "xn--e1afmkfd.xn--p1ai",
        "ns1234.ip-1-2-3.eu",
        "vps-1a2b3c",
        "vps-abcdef",
        "vps123456.ovh.net",
        "pp123-ovh",
        "sms-ab12345-1",
        "john@example.org",
        "john%40example.org",
        "urn:v1:eu:resource:vps:x",
        "FR10030001",
        "GRA11",
        "EU.0123456789abcdef",
        "2024-01-31",
        "Caf%E9",
        "two%20words",
        "*",
        "1,2,3",
        "1%2C2%2C3",
        "example.org,example.net",
        "1;2",
        "1|2",
    ],
)
def test_identifiers_are_recognised_by_their_shape(segment: str) -> None:
    assert is_identifier(segment)


@pytest.mark.parametrize(
    "segment",
    [
        "",
        "me",
        "zone",
        "dedicated",
        "oauth2",
        "ipv6",
        "v6",
        "serviceInfos",
        "accessRestriction",
        "ovhConfig",
        "office365",
        "vps",
        "beaded",
        "faced",
        "abc-def",
        "vps-new",
        "GRA",
        "me.json",
        "1st",
        "zone.yaml",
        "myserver",
        "gra,sbg",
        "1,me",
        "zone;v=1",
        ",",
        "m%65",
    ],
)
def test_doubtful_segments_are_not_identifiers(segment: str) -> None:
    assert not is_identifier(segment)


def test_a_very_long_segment_is_checked_quickly() -> None:
    assert not is_identifier("a-" * 50_000)
