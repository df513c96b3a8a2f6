"""Which variables hold keys of OVHcloud's, or lead elsewhere: nobody else's are touched."""

from collections.abc import Iterable, Mapping

# With all that follows: `_FILE`, as lego names a file that holds the value, `_SECRET`, `_ID` …
_PREFIXES = (
    # The SDKs, lego, terraform, pulumi, external-dns.
    *("OVH_APPLICATION_", "OVH_CONSUMER_", "OVH_CLIENT_", "OVH_ACCESS_"),
    # By custom, in scripts around node-ovh, and in dnscontrol's.
    "OVH_APP_",
    "LEXICON_OVH_",
)
_NAMES = frozenset(
    {
        *("OVH_ENDPOINT", "OVH_ENDPOINT_FILE", "OVH_PROFILE"),
        # acme.sh.
        *("OVH_AK", "OVH_AS", "OVH_CK", "OVH_END_POINT"),
    }
)
_OURS = "OVH_PROXY_"


def is_key(name: str) -> bool:
    """Whether a client would take a key from this variable, or go elsewhere by it."""
    return name in _NAMES or name.startswith(_PREFIXES)


def without_keys(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The environment less what holds keys, what would lead elsewhere, and what is ours.

    Args:
        variables: that the store refers to.
    """
    dropped = frozenset(variables)
    return {
        name: value
        for name, value in environ.items()
        if not (name in dropped or name.startswith(_OURS) or is_key(name))
    }
