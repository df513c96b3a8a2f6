"""A request as a route sees it: who makes it, and what it asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ovh_proxy.sandbox.credentials import Application, ConsumerKey
from ovh_proxy.sandbox.place import ApiPath
from ovh_proxy.sandbox.received import ReceivedRequest
from ovh_proxy.sandbox.refusals import bad_request


@dataclass(frozen=True, slots=True)
class Signed:
    """A caller that signed with application keys."""

    application: Application
    consumer_key: ConsumerKey

    @property
    def verdict(self) -> str:
        """What the record says of the request."""
        return f"signed by {self.application.application_key}"


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """A caller that showed an access token; a personal one has no `client_id`."""

    client_id: str | None
    verdict: str = "token"


@dataclass(frozen=True, slots=True)
class Anyone:
    """A caller that nothing is known of: the route asks for no authentication."""

    verdict: str = "unsigned"


Caller = Signed | TokenBearer | Anyone


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route.

    Attributes:
        scheme: `http` or `https`.
        now: by the sandbox's clock, in seconds since the epoch.
        variables: the decoded pieces of the path that the route's template names.
    """

    received: ReceivedRequest
    place: ApiPath
    scheme: str
    now: float
    caller: Caller = Anyone()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Scheme and host, as the client called us: `http://127.0.0.1:4000`."""
        return f"{self.scheme}://{self.received.header('Host') or ''}"

    def fields(self) -> dict[str, object]:
        """The body, which has to be a JSON object.

        Raises:
            Refusal: 400 for any other body.
        """
        try:
            parsed = json.loads(self.received.body)
        except ValueError:
            raise bad_request("The body is not valid JSON") from None
        if not isinstance(parsed, dict):
            raise bad_request("The body has to be a JSON object")
        return parsed

    def text(self, name: str) -> str:
        """A field of the body that has to be there, as text.

        Raises:
            Refusal: 400 when it is missing or no text.
        """
        value = self.fields().get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"[{name}] has to be a text")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole number of the query.

        Raises:
            Refusal: 400 when it is none.
        """
        return whole(name, self.place.parameters.get(name, str(default)))


def whole(name: str, text: str) -> int:
    """Digits as a number.

    Raises:
        Refusal: 400 when they are none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise bad_request(f"[{name}] has to be a whole number")
    return int(text)
