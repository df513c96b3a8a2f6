"""The Grafana dashboard: its panels, and its queries as Grafana would send them."""

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
    """The query with every variable filled in, `All` chosen."""
    return (
        query.replace("$__rate_interval", interval)
        .replace("$job", "ovh-proxy")
        .replace("$instance", ".*")
        .replace("$profile", ".*")
    )
