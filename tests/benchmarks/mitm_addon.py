"""A contender: a mitmproxy addon that signs, run by `mitmdump -s`.

The keys come from the environment.
"""

import hashlib
import os
import time


def request(flow) -> None:  # type: ignore[no-untyped-def]
    """Called by mitmproxy for each request, after reading its body."""
    secret, consumer_key = os.environ["BENCH_SECRET"], os.environ["BENCH_CONSUMER_KEY"]
    timestamp = str(int(time.time()))
    url = os.environ["BENCH_ORIGIN"] + flow.request.path
    head = f"{secret}+{consumer_key}+{flow.request.method}+{url}+".encode()
    body = flow.request.raw_content or b""
    digest = hashlib.sha1(head + body + f"+{timestamp}".encode()).hexdigest()  # noqa: S324 - OVHcloud's choice
    flow.request.headers["X-Ovh-Application"] = os.environ["BENCH_APPLICATION_KEY"]
    flow.request.headers["X-Ovh-Consumer"] = consumer_key
    flow.request.headers["X-Ovh-Timestamp"] = timestamp
    flow.request.headers["X-Ovh-Signature"] = "$1$" + digest
