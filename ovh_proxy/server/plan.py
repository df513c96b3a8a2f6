"""What is decided of a request by its head alone."""

from collections.abc import Callable
from dataclasses import dataclass

from ovh_proxy.auth.signers import Signer
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.ovhcloud.messages import Headers
from ovh_proxy.ovhcloud.signature import SignedText
from ovh_proxy.policy.client_auth import EntryPoint
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.routing import Route


@dataclass(slots=True)
class AuthorizedRequest:
    """Who asks, and where it goes; good for as long as the settings are the same.

    Attributes:
        entry_point: by which it came; the same words may be refused at another.
        outgoing_headers: the client's headers that go on to OVHcloud.
        route: None for the proxy's own routes.
        path: of the target, as written.
        shown: what of the target may be logged.
        new_signer: gives who signs one call; None as long as nobody has.
        signed_text: the hash that has seen method and URL; None as long as no call without a body
            has been signed.
    """

    settings: Settings
    entry_point: EntryPoint
    client: Client | None
    headers: RequestHeaders
    outgoing_headers: Headers
    route: Route | None
    path: str
    shown: str
    new_signer: Callable[[], Signer] | None = None
    signed_text: SignedText | None = None

    @property
    def client_name(self) -> str:
        """As it is logged and counted."""
        return "-" if self.client is None else self.client.name
