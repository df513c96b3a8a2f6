"""Where names lead: one question at a time for each, however many connections wait for it."""

# A resolver may take half a minute to give up, and each question to it takes a thread until then:
# a few calls to a name that is not answered would take all there are.

import asyncio
import socket
from functools import partial
from typing import Any

from ovh_proxy.core.settings import TcpAddress
from ovh_proxy.upstream.single_flight import SingleFlight


class Resolver:
    """Asks the system's resolver; nothing is kept beyond the question under way."""

    def __init__(self) -> None:
        self._questions: dict[TcpAddress, SingleFlight[list[Any]]] = {}

    async def addresses(self, address: TcpAddress) -> list[Any]:
        """What `getaddrinfo` gives; the question goes on where its asker gives up.

        Raises:
            OSError, UnicodeError: the name leads nowhere.
        """
        question = self._questions.get(address)
        if question is None:
            question = self._questions[address] = SingleFlight(partial(_ask, address))
        asked = question.start()
        # Unlike `await asked`, this leaves it alone when its asker gives up.
        await asyncio.wait([asked])
        if asked.cancelled():
            raise ConnectionAbortedError("nobody is asked any more")
        return asked.result()

    async def close(self) -> None:
        """Ends the questions under way, as far as they can be."""
        for question in self._questions.values():
            await question.stop()


async def _ask(address: TcpAddress) -> list[Any]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
