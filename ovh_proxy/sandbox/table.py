"""Every route the sandbox serves, on state of its own."""

from ovh_proxy.sandbox import tools
from ovh_proxy.sandbox.auth import AuthRoutes
from ovh_proxy.sandbox.domains import domain_routes
from ovh_proxy.sandbox.grants import Grants
from ovh_proxy.sandbox.oauth2 import TokenRoutes
from ovh_proxy.sandbox.reverse import ReverseNames
from ovh_proxy.sandbox.routes import Route
from ovh_proxy.sandbox.schemas import schema_routes
from ovh_proxy.sandbox.services import Services
from ovh_proxy.sandbox.validation import ValidationPage
from ovh_proxy.sandbox.zones import Zones


def all_routes(grants: Grants) -> tuple[Route, ...]:
    """The table of routes. Each call of this makes zones, servers and names anew."""
    served = (
        *AuthRoutes(grants).routes(),
        *Services().routes(),
        *domain_routes(),
        *Zones().routes(),
        *ReverseNames().routes(),
        *tools.routes(),
    )
    pages = (*ValidationPage(grants).routes(), *TokenRoutes(grants).routes())
    return (*served, *pages, *schema_routes(served))
