"""The JSON schemas that let editors complete and check both files, made from the fields."""

import json
from pathlib import Path
from typing import Any

from ovh_proxy.config.field_types import FieldType
from ovh_proxy.config.settings_fields import SETTINGS
from ovh_proxy.store.store_fields import STORE

SCHEMAS: dict[str, tuple[str, FieldType[dict[str, Any]]]] = {
    "credentials.schema.json": ("The credential store of ovh-proxy", STORE),
    "ovh-proxy.schema.json": ("The server settings of ovh-proxy", SETTINGS),
}


def schema_text(name: str) -> str:
    """The schema of one of SCHEMAS as it lies in config/."""
    title, field_type = SCHEMAS[name]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps({**head, **field_type.schema}, indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path) -> None:
    """Writes all of them, after the fields have changed."""
    for name in SCHEMAS:
        (directory / name).write_text(schema_text(name), encoding="utf-8")
