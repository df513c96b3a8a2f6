"""The contenders in one table: what each is, how it is started, what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import nginx_contenders, other_contenders, ovh_proxy_contender
from benchmarks.place import Place
from benchmarks.running import Start


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those measured.

    Attributes:
        missing: what to install or to say, None when it can run.
    """

    name: str
    about: str
    start: Start
    missing: Callable[[Place], str | None] = lambda _: None


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("direct", "no proxy", other_contenders.direct),
        Contender(
            "nginx",
            "nginx, proxy_pass, signs nothing",
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
            "the same with --workers 2, which have both cores",
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
