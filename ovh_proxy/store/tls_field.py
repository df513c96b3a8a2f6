"""Where the certificates of a listener come from, and other files that settings name."""

import os

from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.nodes import NodeCursor
from ovh_proxy.core.settings import AutoTls, TlsFiles
from ovh_proxy.store.nodes import Entries
from ovh_proxy.store.record import Field, mapping_of


def _read_path(cursor: NodeCursor) -> str:
    """A file's absolute path; a relative one is relative to the file that names it."""
    return os.path.abspath(os.path.join(cursor.reading.directory, cursor.text()))


PATH: FieldType[str] = FieldType(_read_path, {"type": "string", "minLength": 1})

_TLS_FILES = mapping_of(
    TlsFiles,
    Field("cert", PATH, "PEM file of the certificate and its chain.", required=True),
    Field("key", PATH, "PEM file of the certificate's key.", required=True),
    Field("client_ca", PATH, "PEM file of who may sign client certificates; makes them mandatory."),
)


def _read_tls(cursor: NodeCursor) -> TlsFiles | AutoTls:
    if isinstance(cursor.node, Entries):
        return _TLS_FILES.read(cursor)
    if cursor.text() == "auto":
        return AutoTls(str(cursor.reading.state))
    raise cursor.add_problem("is auto, or a mapping: {cert: FILE, key: FILE}")


TLS: FieldType[TlsFiles | AutoTls] = FieldType(
    _read_tls, {"anyOf": [{"const": "auto"}, _TLS_FILES.schema]}
)
