"""The Grafana dashboard in config/grafana is consistent and uses existing metrics."""

import itertools
import re
from pathlib import Path

import pytest
import yaml
from support.dashboard import DASHBOARD, PANELS, QUERIES, filled_in
from support.promql import metrics, unknown

from ovh_proxy.observability.metrics import METRIC_FAMILIES

RULES = Path(__file__).parents[2] / "config" / "prometheus" / "alerts.yaml"
VARIABLES = {one["name"] for one in DASHBOARD["templating"]["list"]}
DRAWN = [panel for panel in PANELS if panel["type"] != "row"]


def cells(panel: dict) -> set[tuple[int, int]]:
    """The grid cells of a panel; the grid is 24 wide."""
    at = panel["gridPos"]
    return set(
        itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
    )


def test_panels_do_not_overlap_and_stay_on_the_grid():
    covered = [cell for panel in PANELS for cell in cells(panel)]

    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) == 23


def test_panels_have_unique_ids():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("panel", DRAWN, ids=[panel["title"] for panel in DRAWN])
def test_panels_use_the_selected_data_source(panel):
    asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]

    assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in asked)


@pytest.mark.parametrize(
    "query",
    [query for _, query in QUERIES],
    ids=[f"{number} {title}" for number, (title, _) in enumerate(QUERIES)],
)
def test_queries_use_existing_metrics_and_variables(query):
    variables = set(re.findall(r"\$(\w+)", query)) - {"__rate_interval"}

    assert unknown(filled_in(query, "1m")) == []
    assert variables <= VARIABLES


@pytest.mark.parametrize("family", [family.name for family in METRIC_FAMILIES])
def test_every_metric_is_on_the_dashboard_or_in_an_alert(family):
    rules = [
        rule["expr"] for one in yaml.safe_load(RULES.read_text())["groups"] for rule in one["rules"]
    ]
    asked = {
        name for query in (*rules, *(query for _, query in QUERIES)) for name in metrics(query)
    }

    assert any(name == family or name.startswith(f"{family}_") for name in asked)
