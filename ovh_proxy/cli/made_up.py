"""The profiles of the sandbox, on made-up keys."""

from types import MappingProxyType

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.sandbox import grants

# So that the demonstration has a call to refuse: it may create records, but delete nothing.
_RULES = ("GET /*", "POST,PUT /domain/zone/*")


def store_text(base_url: str, token_url: str) -> str:
    """A credential store in YAML with a profile of each kind."""
    return f"""\
default: sandbox
profiles:
  sandbox:
    endpoint: {base_url}
    application_key: {grants.APPLICATION_KEY}
    application_secret: {grants.APPLICATION_SECRET}
    consumer_key: {grants.CONSUMER_KEY}
  robot:
    endpoint: {base_url}
    token_url: {token_url}
    client_id: {grants.CLIENT_ID}
    client_secret: {grants.CLIENT_SECRET}
  personal-access:
    endpoint: {base_url}
    access_token: {grants.ACCESS_TOKEN}
"""


def demo_store(base_url: str, token_url: str) -> Store:
    """The same as values; `demo`, which signs, has access rules."""
    endpoint = parse_endpoint(base_url)
    rules = tuple(rule for text in _RULES for rule in parse_access_rule(text))
    keys = ApplicationCredential(
        Secret(grants.APPLICATION_KEY),
        Secret(grants.APPLICATION_SECRET),
        Secret(grants.CONSUMER_KEY),
    )
    robot = ServiceAccount(grants.CLIENT_ID, Secret(grants.CLIENT_SECRET), token_url)
    profiles = (
        Profile("demo", endpoint, keys, rules),
        Profile("robot", endpoint, robot),
        Profile("personal-access", endpoint, AccessToken(Secret(grants.ACCESS_TOKEN))),
    )
    named = {profile.name: profile for profile in profiles}
    return Store(MappingProxyType(named), "demo", "made-up keys")
