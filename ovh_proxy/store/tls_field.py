"""Where the certificates of a listener come from, and other files that settings name."""

import os

from ovh_proxy.core.settings import AutoTls, TlsFiles
from ovh_proxy.store.nodes import Entries
from ovh_proxy.store.place import Place
from ovh_proxy.store.record import Field, record
from ovh_proxy.store.shapes import Shape


def _read_path(place: Place) -> str:
    """A file's absolute path; a relative one is relative to the file that names it."""
    return os.path.abspath(os.path.join(place.reading.directory, place.text()))


PATH: Shape[str] = Shape(_read_path, {"type": "string", "minLength": 1})

_TLS_FILES = record(
    TlsFiles,
    Field("cert", PATH, "PEM file of the certificate and its chain.", required=True),
    Field("key", PATH, "PEM file of the certificate's key.", required=True),
    Field("client_ca", PATH, "PEM file of who may sign client certificates; makes them mandatory."),
)


def _read_tls(place: Place) -> TlsFiles | AutoTls:
    if isinstance(place.node, Entries):
        return _TLS_FILES.read(place)
    if place.text() == "auto":
        return AutoTls(str(place.reading.state))
    raise place.note("is auto, or a mapping: {cert: FILE, key: FILE}")


TLS: Shape[TlsFiles | AutoTls] = Shape(_read_tls, {"anyOf": [{"const": "auto"}, _TLS_FILES.schema]})
