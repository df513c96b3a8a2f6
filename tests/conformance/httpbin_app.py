"""httpbin plus the OVHcloud routes that the proxy requests; runs in a separate environment."""

import time

from httpbin import app

_OWN = {
    "/auth/time": lambda: str(int(time.time())),
    "/auth/currentCredential": lambda: '{"credentialId":1,"status":"validated","rules":[]}',
}


def application(environ, start_response):
    """The WSGI application."""
    own = _OWN.get(environ["PATH_INFO"])
    if own is None:
        return app(environ, start_response)
    body = own().encode()
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]
