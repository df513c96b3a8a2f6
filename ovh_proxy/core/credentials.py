"""The kinds of credentials that prove to OVHcloud who calls."""

from dataclasses import dataclass

from ovh_proxy.core.secret import Secret


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """Application keys: each request is signed.

    Attributes:
        consumer_key: None before `login` has requested one.
    """

    application_key: Secret
    application_secret: Secret
    consumer_key: Secret | None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An OAuth2 client: the proxy requests and renews its access tokens."""

    client_id: str
    client_secret: Secret
    token_url: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token from elsewhere, such as a personal access token."""

    access_token: Secret


Credential = ApplicationCredential | ServiceAccount | AccessToken

_KINDS = {
    ApplicationCredential: "application keys",
    ServiceAccount: "service account",
    AccessToken: "access token",
}


def kind_of(credential: Credential) -> str:
    """The name of the kind in messages."""
    return _KINDS[type(credential)]
