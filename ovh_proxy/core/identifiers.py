"""What in a path names one thing of many, told by its shape where there is no schema."""

import re

from ovh_proxy.core.target import decode_fully

_SHAPES = re.compile(
    "|".join(
        (
            # No word of the API has such characters: addresses and blocks, e-mail addresses, urns.
            r".*[^A-Za-z0-9._~-].*",
            r"[0-9.]*[0-9]",  # numbers, IPv4 addresses
            r"[0-9a-fA-F]{16,}",  # a project of Public Cloud
            r"(?=[a-f]*[0-9])[0-9a-f]{8,}",
            r"[A-Z]{2,4}[0-9]{1,12}",  # a bill FR12345678, a region GRA11
            r"[A-Z]{2}\.[0-9a-f]{16}",  # a service account's client id
            r"(?=[^0-9]*[0-9])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+",  # uuids, vps-1a2b3c, pp123-ovh
            r"vps-[0-9a-f]{6,}",
            # Host and domain names.
            r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,63}|xn--[a-z0-9-]+)\.?",
        )
    ),
    re.DOTALL,
)
# The API's own files, which look like domain names.
_FILE = re.compile(r"[A-Za-z0-9_-]+\.(?:json|yaml)")
_LIST = re.compile(r"[,;|]")


def is_identifier(segment: str) -> bool:
    """Whether a segment of a path, percent-escapes and all, is surely no word of the API.

    A batch list such as `1,2,3` is one when each of its elements is.

    Raises:
        ValueError: its escapes are nested too deep.
    """
    elements = [element for element in _LIST.split(decode_fully(segment)) if element]
    return bool(elements) and all(
        _SHAPES.fullmatch(element) and not _FILE.fullmatch(element) for element in elements
    )
