"""A profile: where its calls go, who makes them, and what they may be."""

import re
from dataclasses import dataclass

from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import Credential
from ovh_proxy.core.endpoints import Endpoint

# What can stand in `/@name/…` and in a header without any quoting.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One account at one endpoint.

    Attributes:
        access_rules: None grants all calls; an empty tuple none.
    """

    name: str
    endpoint: Endpoint
    credential: Credential
    access_rules: tuple[AccessRule, ...] | None = None
