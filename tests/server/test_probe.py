import asyncio, pytest, time
from dataclasses import replace
from ovh_proxy.core.settings import *
H=b"Host: localhost\r\n"
G=b"GET /me HTTP/1.1\r\n"+H+b"\r\n"
CASES = {
 "pipeline posts": b"".join(b"POST /m%d HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"%i for i in range(80)),
 "pipeline posts cl": b"".join(b"POST /m%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"%i for i in range(80)),
 "pipe garbage": G+b"garbage\r\n\r\n",
 "pipe 40 garbage": G*40+b"garbage\r\n\r\n",
 "cont": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
 "barelf": b"GET /me HTTP/1.1\nHost: localhost\n\n",
 "09": b"GET /me\r\n\r\n",
 "chunk trailer": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: a\r\n\r\n"+G,
 "chunk ext": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n"+G,
 "chunk bad end": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"+G,
 "chunk bad later": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\nzz\r\n"+G,
 "chunk huge": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n",
 "chunk extended trailer": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n"+G,
 "TE twice": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+G,
 "TE empty": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello"+G,
 "TE empty only": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n\r\n"+G,
 "TE Chunked,": b"POST /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+G,
 "TE get": b"GET /me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n"+G,
 "CL twice": b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"+G,
 "CL +5": b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello"+G,
 "CL empty": b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\n"+G,
 "CL huge": b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n"+G,
 "CL 19": b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999999999\r\n\r\n"+G,
 "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "0A": b"GET /a%0Ab HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "frag": b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "lower": b"get /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "FOOBAR": b"FOOBAR /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "PRI": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
 "PRI /": b"PRI / HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "SOURCE": b"SOURCE / HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "DESCRIBE": b"DESCRIBE / HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "purge": b"PURGE /a HTTP/1.1\r\nHost: localhost\r\n\r\n"+G,
 "nul": b"GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"+G,
 "empty conn": b"\r\n\r\n\r\n",
 "connection weird": b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close, keep-alive\r\n\r\n"+G,
 "conn ka+close 1.0": b"GET /a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive, close\r\n\r\n"+G,
 "upgrade no conn": b"GET /a HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n\r\n"+G,
 "conn upgrade only": b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\r\n"+G,
 "options 405": b"POST /-/healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"+G,
 "expect404": b"POST /@nope/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
 "expect417": b"POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: foo\r\nContent-Length: 3\r\n\r\n",
 "413": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
 "413exp": b"POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n",
 "space": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "connect": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
 "trace": b"TRACE /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "abs": b"GET http://localhost/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
 "nonascii": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
@pytest.mark.asyncio
async def test_p(start, upstream):
  import re
  for name in CASES:
    f = await start(timeouts=Timeouts(header_s=.3, body_s=.3, idle_s=.5, drain_s=.2))
    c = await f.connect()
    upstream.requests.clear()
    t=time.time()
    c.send(CASES[name])
    got=b""; end=""
    try:
        async with asyncio.timeout(4):
            t1=0
            while True:
                p = await c.reader.read(65536)
                if not p: break
                t1=time.time()-t
                got+=p
            end=f"END {t1:.2f} {time.time()-t:.2f}"
    except BaseException as e: end=(repr(e)+ f" {t1:.2f} {time.time()-t:.2f}")
    st=[x.decode() for x in re.findall(rb"HTTP/1.1 (\d+)",got)]
    print(f"{name:20}", len(st), st[:4], end, "up:",len(upstream.requests), upstream.offences[:3], [r.body for r in upstream.requests[:1]], re.findall(rb'"message":"([^"]*)', got)[-1:], b"Connection: close" in got)
    for r in f.records:
        if r["message"]!="request": print("   ", r)
  assert 0
