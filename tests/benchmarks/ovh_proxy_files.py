"""The configuration of ovh-proxy, with all features enabled."""

from pathlib import Path

from benchmarks import keys
from benchmarks.bench import Bench

MAX_BODY = 1 << 28

_STORE = """\
profiles:
  bench:
    endpoint: {endpoint}
    application_key: {application_key}
    application_secret: {secret}
    consumer_key: {consumer_key}
    access_rules:
      - GET /me
      - GET /me/*
      - GET,PUT /dedicated/server/*
      - read-only /domain
      - POST /upload
      - GET /large
      - GET /slowly_read
"""

_SETTINGS = """\
listen: [127.0.0.1:0]
clients:
  - name: ci
    token: {{sha256: {token_sha256}}}
    access_rules:
      - GET /me
      - GET /me/*
      - GET,POST /domain/zone/*
      - read-only /ip
      - POST /upload
      - GET /large
      - GET /slowly_read
limits: {{body_bytes: {max_body}}}
upstream: {{ca_file: {ca_file}}}
log: {{format: json}}
{more}
"""


def write_files(home: Path, origin: str, bench: Bench) -> tuple[Path, Path]:
    """Writes the credential store and the settings, and returns their paths."""
    store, settings = home / "credentials.yaml", home / "ovh-proxy.yaml"
    store.write_text(
        _STORE.format(
            endpoint=f"{origin}/1.0",
            application_key=keys.APPLICATION_KEY,
            secret=keys.APPLICATION_SECRET,
            consumer_key=keys.CONSUMER_KEY,
        )
    )
    store.chmod(0o600)
    settings.write_text(
        _SETTINGS.format(
            token_sha256=keys.TOKEN_SHA256,
            max_body=MAX_BODY,
            ca_file=bench.upstream.ca_file,
            more="\n".join(bench.settings),
        )
    )
    return store, settings
