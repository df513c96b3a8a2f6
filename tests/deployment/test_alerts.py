"""The alert rules in config/prometheus: valid, each shown to fire and not to."""

from pathlib import Path

import pytest
import yaml
from support.promql import unknown
from support.tools import said_by, tool

PROMETHEUS = Path(__file__).parents[2] / "config" / "prometheus"
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
TESTS = [
    case
    for test in yaml.safe_load((PROMETHEUS / "alerts.test.yaml").read_text())["tests"]
    for case in test["alert_rule_test"]
]

each_alert = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


def test_prometheus_takes_the_rules():
    said = said_by(tool("promtool"), "check", "rules", PROMETHEUS / "alerts.yaml")

    assert said.returncode == 0, said.stdout
    assert f"{len(RULES)} rules found" in said.stdout


def test_prometheus_takes_the_example():
    said = said_by(tool("promtool"), "check", "config", PROMETHEUS / "prometheus.example.yaml")

    assert said.returncode == 0, said.stdout


def test_prometheus_takes_what_finds_the_pods(tmp_path):
    example = PROMETHEUS / "scrape-kubernetes.example.yaml"

    said = said_by(tool("promtool"), "check", "config", example)

    if "kubernetes_sd_configs not found" in said.stdout:
        pytest.skip("this Prometheus was built without Kubernetes")
    assert said.returncode == 0, said.stdout


def test_what_finds_the_pods_relabels_as_prometheus_has_it(tmp_path):
    (job,) = yaml.safe_load((PROMETHEUS / "scrape-kubernetes.example.yaml").read_text())[
        "scrape_configs"
    ]
    job["static_configs"] = [{"targets": ["localhost:9090"]}]
    del job["kubernetes_sd_configs"]
    config = tmp_path / "prometheus.yaml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))

    said = said_by(tool("promtool"), "check", "config", config)

    assert said.returncode == 0, said.stdout


def test_the_rules_pass_their_own_tests():
    said = said_by(tool("promtool"), "test", "rules", PROMETHEUS / "alerts.test.yaml")

    assert said.returncode == 0, said.stdout


@each_alert
def test_an_alert_is_shown_to_fire_and_not_to(rule):
    cases = [case["exp_alerts"] for case in TESTS if case["alertname"] == rule["alert"]]

    assert [] in cases
    assert any(cases)


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description"}


@each_alert
def test_an_alert_asks_for_metrics_that_there_are(rule):
    assert unknown(rule["expr"]) == []
