"""The credential store's keys."""

from typing import Any

from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.profile_fields import PROFILE_NAME, PROFILES
from ovh_proxy.store.record import Field, mapping_of

STORE: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field("default", PROFILE_NAME, "The profile of a request that names none."),
    Field(
        "profiles", PROFILES, "The accounts, by name; `ovh-proxy login` makes one.", required=True
    ),
)
