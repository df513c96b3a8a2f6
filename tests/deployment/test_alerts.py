"""The alert rules in config/prometheus are valid and tested."""

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


def test_prometheus_accepts_the_rules():
    result = said_by(tool("promtool"), "check", "rules", PROMETHEUS / "alerts.yaml")

    assert result.returncode == 0, result.stdout
    assert f"{len(RULES)} rules found" in result.stdout


def test_prometheus_accepts_the_example():
    result = said_by(tool("promtool"), "check", "config", PROMETHEUS / "prometheus.example.yaml")

    assert result.returncode == 0, result.stdout


def test_prometheus_accepts_the_pod_discovery(tmp_path):
    example = PROMETHEUS / "scrape-kubernetes.example.yaml"

    result = said_by(tool("promtool"), "check", "config", example)

    if "kubernetes_sd_configs not found" in result.stdout:
        pytest.skip("this Prometheus was built without Kubernetes")
    assert result.returncode == 0, result.stdout


def test_the_pod_discovery_uses_prometheus_labels(tmp_path):
    (job,) = yaml.safe_load((PROMETHEUS / "scrape-kubernetes.example.yaml").read_text())[
        "scrape_configs"
    ]
    job["static_configs"] = [{"targets": ["localhost:9090"]}]
    del job["kubernetes_sd_configs"]
    config = tmp_path / "prometheus.yaml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))

    result = said_by(tool("promtool"), "check", "config", config)

    assert result.returncode == 0, result.stdout


def test_the_rules_pass_their_own_tests():
    result = said_by(tool("promtool"), "test", "rules", PROMETHEUS / "alerts.test.yaml")

    assert result.returncode == 0, result.stdout


@each_alert
def test_each_alert_has_a_test_that_it_fires_and_that_it_does_not(rule):
    cases = [case["exp_alerts"] for case in TESTS if case["alertname"] == rule["alert"]]

    assert [] in cases
    assert any(cases)


@each_alert
def test_each_alert_has_a_severity_and_an_action(rule):
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description"}


@each_alert
def test_alerts_use_existing_metrics(rule):
    assert unknown(rule["expr"]) == []
