"""Whoever takes notice of the calls that went through, and nobody."""

from typing import Protocol

from ovh_proxy.policy.routing import Route


class CallRecorder(Protocol):
    """Takes notice of calls: a Recorder, or nobody."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None: ...

    async def close(self) -> None: ...


class NoRecorder:
    """What is there when nothing is recorded."""

    def record(self, route: Route, method: str, status: int, refusal: str | None) -> None:
        return

    async def close(self) -> None:
        return
