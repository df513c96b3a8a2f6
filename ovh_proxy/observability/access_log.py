"""The access log: one line a request."""

from json.encoder import encode_basestring_ascii as quoted

from ovh_proxy.http1.exchange import Exchange
from ovh_proxy.logs import Field, Log


def log_request(log: Log, exchange: Exchange, ended: float) -> None:
    """Writes the line of a finished request.

    Args:
        ended: seconds by the same clock as `exchange.began`.
    """
    level = "debug" if exchange.is_own_route else "info"
    if not log.writes(level):
        return
    total_ms = (ended - exchange.began) * 1000
    if log.is_json:
        log.put(_as_json(log.timestamp(), level, exchange, total_ms))
    else:
        log.write(level, "request", **_fields(exchange, total_ms))


def _fields(exchange: Exchange, total_ms: float) -> dict[str, Field]:
    return {
        "request_id": exchange.request_id,
        "client": exchange.client,
        "profile": exchange.profile,
        "method": exchange.method,
        "path": exchange.target,
        "status": exchange.status,
        "error": exchange.code,
        "bytes_in": exchange.body_bytes,
        "bytes_out": exchange.sent_bytes,
        "total_ms": round(total_ms, 2),
        "upstream_ms": round(exchange.upstream_s * 1000, 2),
        "attempts": exchange.attempts.count,
        "query_id": exchange.query_id,
    }


def _as_json(timestamp: str, level: str, exchange: Exchange, total_ms: float) -> str:
    # By hand, because it runs for every request: json.dumps takes three times as long. A test
    # compares the two.
    error = "" if exchange.code is None else f'"error": {quoted(exchange.code)}, '
    query_id = "" if exchange.query_id is None else f', "query_id": {quoted(exchange.query_id)}'
    return (
        f'{{"time": "{timestamp}", "level": "{level}", "message": "request", '
        f'"request_id": {quoted(exchange.request_id)}, "client": {quoted(exchange.client)}, '
        f'"profile": {quoted(exchange.profile)}, "method": {quoted(exchange.method)}, '
        f'"path": {quoted(exchange.target)}, "status": {exchange.status}, {error}'
        f'"bytes_in": {exchange.body_bytes}, "bytes_out": {exchange.sent_bytes}, '
        f'"total_ms": {total_ms:.2f}, "upstream_ms": {exchange.upstream_s * 1000:.2f}, '
        f'"attempts": {exchange.attempts.count}{query_id}}}\n'
    )
