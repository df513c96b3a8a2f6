"""Which requests are cached, how many, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ovh_proxy.http1.request import HeadCache


@dataclass
class FakeRequest:
    """The part of a request that the cache uses."""

    is_cacheable: bool = True


def new_cache() -> Any:
    return HeadCache()


def test_a_head_is_identified_by_all_of_its_bytes():
    cache, request = new_cache(), FakeRequest()

    cache.put(b"GET /me", request)

    assert cache.request(b"GET /me") is request
    assert cache.request(b"GET /m") is cache.request(b"GET /me ") is None


def test_a_request_that_is_not_cacheable_is_not_cached():
    cache = new_cache()

    cache.put(b"GET /me", FakeRequest(is_cacheable=False))

    assert cache.request(b"GET /me") is None


def test_long_heads_are_not_cached():
    cache = new_cache()

    for size in (4096, 4097):
        cache.put(b"x" * size, FakeRequest())

    assert cache.request(b"x" * 4096) is not None
    assert cache.request(b"x" * 4097) is None


def test_the_number_of_cached_heads_is_limited():
    cache = new_cache()

    for number in range(1000):
        cache.put(b"%d" % number, FakeRequest())

    held = [number for number in range(1000) if cache.request(b"%d" % number)]
    assert 0 < len(held) <= 256
    assert held[-1] == 999


def test_the_cache_is_cleared_after_a_minute():
    due: list[tuple[float, Callable[[], None]]] = []
    cache: Any = HeadCache(lambda seconds, clear: due.append((seconds, clear)))

    for head in (b"GET /me", b"GET /ip"):
        cache.put(head, FakeRequest())
    [(seconds, clear)] = due
    clear()

    assert seconds == 60
    assert cache.request(b"GET /me") is cache.request(b"GET /ip") is None


def test_a_request_that_is_cached_later_schedules_the_next_clearing():
    due: list[Callable[[], None]] = []
    cache: Any = HeadCache(lambda _, clear: due.append(clear))

    cache.put(b"GET /me", FakeRequest())
    due.pop()()
    cache.put(b"GET /ip", FakeRequest())

    assert cache.request(b"GET /ip") is not None
    assert len(due) == 1
