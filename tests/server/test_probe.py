import asyncio, pytest, time
from dataclasses import replace
from ovh_proxy.core.settings import *

CASES = {
    "ok": b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "pipeline100": b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100,
    "h2c": b"GET /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "h2c+body": b"POST /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 5\r\n\r\nhello",
    "ws+chunked": b"POST /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "badchunk": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "crlfchunk": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\na\r\nab\r\n\r\ncd\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "close+pipelined": b"POST /me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "upbody+pipelined": b"POST /me HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "expect": b"POST /me HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "refused body": b"POST /me HTTP/1.1\r\nHost: evil\r\nContent-Length: 50000\r\n\r\n"
    + b"x" * 10000,
    "http10": b"GET /me HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "http10 ka": b"GET /me HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    "http10 nohost": b"GET /me HTTP/1.0\r\n\r\n",
    "badtarget kept": b"GET /a//b HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", list(CASES))
async def test_p(start, upstream, name):
    f = await start(timeouts=Timeouts(header_s=0.5, body_s=0.5, idle_s=1, drain_s=0.2))
    c = await f.connect()
    t = time.time()
    c.send(CASES[name])
    try:
        async with asyncio.timeout(4):
            got = b""
            while True:
                p = await c.reader.read(65536)
                if not p:
                    break
                got += p
                print(round(time.time() - t, 2), len(p), p[:600])
            print("END", round(time.time() - t, 2), got.count(b"HTTP/1.1 "))
    except BaseException as e:
        print(repr(e), round(time.time() - t, 2))
    print(upstream.requests[:2], len(upstream.requests), upstream.offences[:3])
    print(f.log.getvalue()[:1500])
    assert 0
