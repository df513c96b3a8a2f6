"""The HTTP proxy on the way to OVHcloud, as the settings write it."""

import re
from urllib.parse import unquote

from ovh_proxy.config.field_types import FieldType, parsed
from ovh_proxy.config.nodes import NodeCursor
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import HttpProxy, TcpAddress
from ovh_proxy.store.address import parse_host_name
from ovh_proxy.store.nodes import Entries
from ovh_proxy.store.secret_fields import REFERENCE_SCHEMAS, read_referenced

_URL = re.compile(
    r"http://(?:(?P<login>[^/?#]+)@)?(?P<host>\[[^\[\]@]+\]|[^\[\]@:/]+):(?P<port>[0-9]{1,5})/?"
)


def parse_proxy(url: str) -> HttpProxy:
    """The proxy of a URL, which may hold a user and a password.

    Raises:
        ValueError: it is no such URL; the text shows nothing of it.
    """
    if url.startswith("https://"):
        raise ValueError("TLS to a proxy is not spoken; a proxy is http://HOST:PORT")
    match = _URL.fullmatch(url)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ValueError(
            "a proxy is http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with all but letters "
            "and digits of the two percent-encoded"
        )
    address = TcpAddress(parse_host_name(match["host"]), int(match["port"]))
    return HttpProxy(address, None if match["login"] is None else _login(match["login"]))


def _login(written: str) -> Secret:
    user, _, password = written.partition(":")
    # What is no UTF-8 stays the bytes that it is: the proxy compares bytes.
    return Secret(":".join(unquote(part, errors="surrogateescape") for part in (user, password)))


def _read(cursor: NodeCursor) -> HttpProxy | None:
    if isinstance(cursor.node, Entries):
        url = read_referenced(cursor)
        # Whoever only looks at the listeners resolves no reference.
        is_resolved = cursor.path in cursor.reading.secrets
        return parsed(cursor, parse_proxy, url.reveal()) if is_resolved else None
    proxy = parsed(cursor, parse_proxy, cursor.text())
    if proxy.login is not None:
        raise cursor.add_problem(
            "has a user or a password, which do not stand here in clear; write a reference to the "
            "whole URL, such as {file: proxy-url} or {env: PROXY_URL}"
        )
    return proxy


PROXY: FieldType[HttpProxy | None] = FieldType(
    _read,
    {"anyOf": [{"type": "string", "pattern": "^http://[^@]+$"}, *REFERENCE_SCHEMAS]},
)
