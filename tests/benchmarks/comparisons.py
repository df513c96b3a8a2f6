"""Functions that read comparisons between ovh-proxy and other contenders from a run. No I/O."""

from collections.abc import Callable

from benchmarks.earlier import AWS_BY_NGINX_LUA
from benchmarks.figures import Figures

US, AWS, LUA, NAIVE, NGINX = "ovh-proxy", "aws-sigv4-proxy", "nginx-lua", "naive", "nginx"

Value = Callable[[Figures], float | None]


def ours(name: str) -> Value:
    """The figure of ovh-proxy."""
    return lambda figures: figures.median(US, name)


def by(other: str, name: str) -> Value:
    """The figure of ovh-proxy divided by that of another contender."""
    return lambda figures: figures.ratio(US, other, name)


def by_aws(name: str) -> Value:
    """The figure of ovh-proxy divided by that of aws-sigv4-proxy, or by its stored ratio."""

    def value(figures: Figures) -> float | None:
        if name in figures.raw.get(AWS, {}):
            return figures.ratio(US, AWS, name)
        by_lua = figures.ratio(US, LUA, name)
        return None if by_lua is None else by_lua / AWS_BY_NGINX_LUA[name]

    return value


def stands_in(figures: Figures) -> bool:
    """Whether a stored ratio is used for aws-sigv4-proxy in any row."""
    return any(
        name not in figures.raw.get(AWS, {}) and name in figures.raw.get(LUA, {})
        for name in AWS_BY_NGINX_LUA
    )


def added(figures: Figures, contender: str, name: str) -> float | None:
    """The difference between a contender and a call without a proxy."""
    through, without = figures.median(contender, name), figures.median("direct", name)
    return None if through is None or without is None else through - without


def added_by(other: str, name: str) -> Value:
    """What ovh-proxy adds, divided by what another contender adds."""

    def value(figures: Figures) -> float | None:
        mine, theirs = added(figures, US, name), added(figures, other, name)
        return mine / theirs if mine is not None and theirs else None

    return value


def one_shot(flavour: str) -> Value:
    """The time of the python-ovh script divided by the time of curl through ovh-proxy."""

    def value(figures: Figures) -> float | None:
        script = figures.median("direct", f"{flavour}/one_shot/python_ovh_ms")
        curl = figures.median(US, f"{flavour}/one_shot/curl_ms")
        return script / curl if script is not None and curl else None

    return value
