"""A new consumer key, as `POST /auth/credential` answers."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.secret import Secret

_KEY = re.compile(r"[!-~]{1,256}")
_URL = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A consumer key of no use yet, and the page on which its owner validates it."""

    consumer_key: Secret
    validation_url: str


def read_new_key(body: bytes) -> NewKey:
    """The key and the page of an answer.

    Raises:
        ValueError: there are none, or the page is none that a browser should be sent to.
    """
    fields = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    key, url = fields.get("consumerKey"), fields.get("validationUrl")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError("no consumer key")
    if not isinstance(url, str) or not is_validation_url(url):
        raise ValueError("no validation URL")
    return NewKey(Secret(key), url)


def is_validation_url(url: str) -> bool:
    """Whether a browser may be sent there: a web address, over TLS unless it is this machine."""
    if not _URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or is_loopback(parts.hostname or "")
