"""Which heads are remembered, how many, and how long."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ovh_proxy.http1.request import HeadCache


@dataclass
class Said:
    """As much of a request as matters here."""

    may_come_again: bool = True


def known() -> Any:
    return HeadCache()


def test_a_head_is_known_by_all_of_its_bytes():
    heads, request = known(), Said()

    heads.keep(b"GET /me", request)

    assert heads.request(b"GET /me") is request
    assert heads.request(b"GET /m") is heads.request(b"GET /me ") is None


def test_what_may_mean_something_else_the_next_time_is_not_kept():
    heads = known()

    heads.keep(b"GET /me", Said(may_come_again=False))

    assert heads.request(b"GET /me") is None


def test_long_heads_are_not_kept():
    heads = known()

    for size in (4096, 4097):
        heads.keep(b"x" * size, Said())

    assert heads.request(b"x" * 4096) is not None
    assert heads.request(b"x" * 4097) is None


def test_heads_without_end_do_not_fill_memory():
    heads = known()

    for number in range(1000):
        heads.keep(b"%d" % number, Said())

    held = [number for number in range(1000) if heads.request(b"%d" % number)]
    assert 0 < len(held) <= 256
    assert held[-1] == 999


def test_all_of_them_are_forgotten_after_a_minute():
    due: list[tuple[float, Callable[[], None]]] = []
    heads: Any = HeadCache(lambda seconds, forget: due.append((seconds, forget)))

    for head in (b"GET /me", b"GET /ip"):
        heads.keep(head, Said())
    [(seconds, forget)] = due
    forget()

    assert seconds == 60
    assert heads.request(b"GET /me") is heads.request(b"GET /ip") is None


def test_what_is_kept_later_has_a_minute_of_its_own():
    due: list[Callable[[], None]] = []
    heads: Any = HeadCache(lambda _, forget: due.append(forget))

    heads.keep(b"GET /me", Said())
    due.pop()()
    heads.keep(b"GET /ip", Said())

    assert heads.request(b"GET /ip") is not None
    assert len(due) == 1
