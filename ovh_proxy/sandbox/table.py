"""Every route the sandbox serves, on state of its own."""

from ovh_proxy.sandbox import httpbin_routes
from ovh_proxy.sandbox.account_routes import Services
from ovh_proxy.sandbox.auth_routes import AuthRoutes
from ovh_proxy.sandbox.domain_routes import Zones
from ovh_proxy.sandbox.domains import domain_routes
from ovh_proxy.sandbox.grants import Grants
from ovh_proxy.sandbox.oauth2 import TokenRoutes
from ovh_proxy.sandbox.reverse import ReverseNames
from ovh_proxy.sandbox.routes import Route
from ovh_proxy.sandbox.schema_routes import schema_routes
from ovh_proxy.sandbox.validation_page import ValidationPage


def all_routes(grants: Grants) -> tuple[Route, ...]:
    """The table of routes. Each call of this makes zones, servers and names anew."""
    served = (
        *AuthRoutes(grants).routes(),
        *Services().routes(),
        *domain_routes(),
        *Zones().routes(),
        *ReverseNames().routes(),
        *httpbin_routes.routes(),
    )
    pages = (*ValidationPage(grants).routes(), *TokenRoutes(grants).routes())
    return (*served, *pages, *schema_routes(served))
