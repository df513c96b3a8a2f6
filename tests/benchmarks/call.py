"""Makes one call to a contender and checks the response."""

import http.client
import time

from benchmarks.errors import CannotMeasureError
from benchmarks.keys import TOKEN_HEADER
from benchmarks.running import Running
from benchmarks.upstream import TARGET


def call_ms(running: Running) -> float:
    """Makes one call on a new connection, and returns its duration in milliseconds.

    Raises:
        CannotMeasureError: the call was rejected, or there was no response.
    """
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    began = time.perf_counter()
    try:
        connection.request("GET", TARGET, headers=dict([TOKEN_HEADER]))
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as failure:
        raise CannotMeasureError(f"no response: {failure}") from failure
    finally:
        connection.close()
    if response.status != 200:
        raise CannotMeasureError(f"a call was rejected: {response.status} {body[:300]!r}")
    return (time.perf_counter() - began) * 1000
