"""The Grafana dashboard: its panels, and its queries as Grafana sends them."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "config" / "grafana" / "ovh-proxy.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES: list[tuple[str, str]] = [
    (panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())
]
"""Each with the title of its panel."""


def filled_in(query: str, interval: str) -> str:
    """Returns the query with every variable replaced, as for `All`."""
    return (
        query.replace("$__rate_interval", interval)
        .replace("$job", "ovh-proxy")
        .replace("$instance", ".*")
        .replace("$profile", ".*")
    )
