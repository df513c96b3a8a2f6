"""What in a path names one thing of many, told by its shape where there is no schema."""

import re

from ovh_proxy.core.access_rules import decode_fully

# No word of the API has these: an address, a block, an e-mail address, a urn, any other text.
_FOREIGN = re.compile(r"[^A-Za-z0-9._~;,|*-]")

_SHAPES = re.compile(
    "|".join(
        (
            r"[0-9]+",
            r"[0-9.]*[0-9]",  # IPv4
            r"[0-9a-fA-F-]*-[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*",  # uuid, date
            r"[0-9a-fA-F]{16,}",  # project of Public Cloud
            r"(?=[a-f]*[0-9])[0-9a-f]{8,}",
            r"[A-Z]{2,4}[0-9]{1,12}",  # bill FR12345678, region GRA11
            r"[A-Z]{2}\.[0-9a-f]{16}",  # client id of a service account
            r"(?=[a-z-]*[0-9])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+",  # vps-1a2b3c, pp123-ovh
            r"vps-[0-9a-f]{6,}",
            r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+"  # host and domain names
            r"(?:[A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9-]+)\.?",
        )
    )
)
# The API's own files, which look like domain names.
_FILE = re.compile(r"[A-Za-z0-9_-]+\.(?:json|yaml)")
_LIST = re.compile(r"[,;|]")


def is_identifier(segment: str) -> bool:
    """Whether a segment of a path, percent-escapes and all, is surely no word of the API.

    A batch list such as `1,2,3` is one when each of its elements is.
    """
    try:
        text = decode_fully(segment)
    except ValueError:
        return True
    if _FOREIGN.search(text):
        return True
    elements = [element for element in _LIST.split(text) if element]
    return bool(elements) and all(
        _SHAPES.fullmatch(element) and not _FILE.fullmatch(element) for element in elements
    )
