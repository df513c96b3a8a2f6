"""Heads that are meant for a proxy: CONNECT, and targets in absolute form."""

import asyncio
from functools import partial
from typing import Any

from aiohttp.streams import EMPTY_PAYLOAD

from ovh_proxy.core.errors import BadRequest, OvhProxyError
from ovh_proxy.core.proxy_head import ProxyHead, proxy_head
from ovh_proxy.http1.framing import FramedHandler
from ovh_proxy.http1.request import AbsoluteRequest, ConnectRequest
from ovh_proxy.policy.forward_proxy import parse_absolute


class ForwardProxyHandler(FramedHandler):
    """Takes them where it serves as a proxy; a request to a server costs nothing more."""

    __slots__ = ("_is_held",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_held = False

    @property
    def is_proxy(self) -> bool:
        """Whether it serves as one."""
        raise NotImplementedError

    def _take_other_form(self, head: bytes, error: OvhProxyError) -> None:
        if not self.is_proxy:
            self._refuse(error)
            return
        try:
            asked = proxy_head(head, self._limits)
            if asked is None:
                self._refuse(error)
            elif asked.method == b"CONNECT":
                self._take_connect(asked)
            else:
                absolute = parse_absolute(asked.target)
                origin_form = asked.with_target(absolute.origin_form)
                self._parse(origin_form, partial(AbsoluteRequest, asked=absolute))
        except OvhProxyError as failure:
            self._refuse(failure)

    def _take_connect(self, head: ProxyHead) -> None:
        if self._pending:
            # They would belong to what is made of the connection, which it may not become.
            raise BadRequest("nothing may follow CONNECT before it is answered")
        # What comes from now on waits in the system, for whoever takes the connection over.
        self._pause_transport_reading()
        self._is_held = True
        self._messages.append((ConnectRequest(head), EMPTY_PAYLOAD))  # type: ignore[arg-type] # as `_queue`
        self._wake()

    def _resume_transport_reading(self) -> None:
        if not self._is_held:
            super()._resume_transport_reading()

    def let_go(self) -> None:
        """Nobody takes the connection over."""
        self._is_held = False

    def hand_over(self) -> asyncio.Transport:
        """Gives up the client's connection, to whoever speaks another protocol on it.

        Raises:
            ConnectionResetError: the client has left.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has left")
        transport, self.transport = self.transport, None
        return transport
