"""Ratios that are used when the binary of aws-sigv4-proxy is not available."""

WORDS = "measured earlier on the same class of machine"

# Figures of aws-sigv4-proxy v1.11 (Go, GOMAXPROCS=1) divided by those of nginx with a Lua signer,
# both measured in one run.
AWS_BY_NGINX_LUA = {
    "plain/c1/rate": 4.8 / 5.6,
    "plain/c16/rate": 10.0 / 59.5,
    "plain/c64/rate": 8.3 / 56.8,
    "plain/c256/rate": 6.8 / 51.7,
    "tls/c1/rate": 4.4 / 5.4,
    "tls/c16/rate": 2.9 / 54.1,
    "tls/c64/rate": 2.1 / 48.0,
    "tls/c256/rate": 2.0 / 42.4,
    "plain/c64/p99_ms": 15.1 / 2.6,
    "plain/close/rate": 8.6 / 24.5,
}
