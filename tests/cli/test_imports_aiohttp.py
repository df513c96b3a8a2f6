import asyncio
import json
import sys
from pathlib import Path

import pytest
from support.command import environment

END_S = 20.0

SCRIPT = """
import json, os, ssl
from ovh_proxy.cli.imports import require_c_parser

def authorities():
    return ssl.create_default_context().cert_store_stats()["x509_ca"]

def stats(context):
    return [context.cert_store_stats()["x509_ca"], context.verify_mode == ssl.CERT_REQUIRED]

before = authorities()
require_c_parser()
from aiohttp import connector
print(json.dumps({
    "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE"),
    "ours are the same": authorities() == before,
    "aiohttp's client": stats(connector._SSL_CONTEXT_VERIFIED),
}))
"""


@pytest.mark.asyncio
@pytest.mark.parametrize("file", ["made-up.pem", None], ids=["SSL_CERT_FILE", "system"])
async def test_only_aiohttps_client_has_no_authorities(home: Path, file: str | None) -> None:
    environ = environment(home, PYTHONPATH=":".join(sys.path), SSL_CERT_FILE=file or "")
    if file is None:
        del environ["SSL_CERT_FILE"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT), env=environ, stdout=asyncio.subprocess.PIPE
    )

    out, _ = await asyncio.wait_for(process.communicate(), END_S)

    assert json.loads(out) == {
        "SSL_CERT_FILE": file,
        "ours are the same": True,
        "aiohttp's client": [0, True],
    }
