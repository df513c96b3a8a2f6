"""The kinds of credentials that prove to OVHcloud who calls."""

from dataclasses import dataclass

from ovh_proxy.core.secret import Secret


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """Application keys: each request is signed.

    Attributes:
        consumer_key: None until `login` has asked for one.
    """

    application_key: Secret
    application_secret: Secret
    consumer_key: Secret | None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An OAuth2 client: its access token is asked for and renewed as needed."""

    client_id: str
    client_secret: Secret
    token_url: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token made elsewhere, such as a personal access token."""

    access_token: Secret


Credential = ApplicationCredential | ServiceAccount | AccessToken


_KINDS = {
    ApplicationCredential: "application keys",
    ServiceAccount: "service account",
    AccessToken: "access token",
}


def kind_of(credential: Credential) -> str:
    """The kind as users name it."""
    return _KINDS[type(credential)]
