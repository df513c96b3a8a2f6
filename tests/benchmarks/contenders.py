"""The table of contenders: what each one is, how to start it, and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import nginx_contenders, other_contenders, ovh_proxy_contender
from benchmarks.bench import Bench
from benchmarks.running import Start


@dataclass(frozen=True, slots=True)
class Contender:
    """One program that is measured.

    Attributes:
        missing: what to install or which option to give, None if it can run.
    """

    name: str
    about: str
    start: Start
    missing: Callable[[Bench], str | None] = lambda _: None


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("direct", "no proxy", other_contenders.direct),
        Contender(
            "nginx",
            "nginx with proxy_pass, does not sign",
            nginx_contenders.nginx_proxy_pass,
            nginx_contenders.missing_nginx,
        ),
        Contender(
            "nginx-lua",
            "nginx, signs in Lua",
            nginx_contenders.nginx_lua,
            nginx_contenders.missing_lua,
        ),
        Contender(
            "nginx-njs",
            "nginx, signs in JavaScript",
            nginx_contenders.nginx_njs,
            nginx_contenders.missing_njs,
        ),
        Contender(
            "aws-sigv4-proxy",
            "Go, net/http, signs for AWS",
            other_contenders.aws_sigv4_proxy,
            other_contenders.missing_aws_sigv4_proxy,
        ),
        Contender(
            "mitmproxy",
            "mitmdump with an addon that signs",
            other_contenders.mitmproxy,
            other_contenders.missing_mitmproxy,
        ),
        Contender("naive", "aiohttp server and ClientSession, signs", other_contenders.naive),
        Contender(
            "ovh-proxy",
            "this project: token, rules, metrics, JSON log",
            ovh_proxy_contender.ovh_proxy,
        ),
        Contender(
            "two-workers",
            "the same with --workers 2, on both cores",
            ovh_proxy_contender.two_workers,
        ),
        Contender(
            "against",
            "another checkout of this project (--against)",
            ovh_proxy_contender.against,
            ovh_proxy_contender.missing_against,
        ),
    )
}
