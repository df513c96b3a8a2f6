"""Static checks of both overlays in config/kubernetes."""

from pathlib import Path

import pytest
import yaml
from support.manifests import OVERLAYS, PODS, port_of, proxy_of, read

from ovh_proxy import __version__
from ovh_proxy.core.settings import Limits
from ovh_proxy.server.process import max_body_memory

KUBERNETES = Path(__file__).parents[2] / "config" / "kubernetes"
MIB = 1024 * 1024

both = pytest.mark.parametrize("pod", PODS.values(), ids=list(PODS))


@both
def test_the_proxy_has_no_privilege(pod):
    bounds = {**pod.get("securityContext", {}), **proxy_of(pod)["securityContext"]}

    assert bounds["runAsNonRoot"] is True
    assert bounds["runAsUser"] == bounds["runAsGroup"] == 65532  # the image's
    assert bounds["allowPrivilegeEscalation"] is False
    assert bounds["readOnlyRootFilesystem"] is True
    assert bounds["capabilities"] == {"drop": ["ALL"]}
    assert bounds["seccompProfile"] == {"type": "RuntimeDefault"}


@both
def test_the_store_is_mounted_read_only_and_changes_with_its_secret(pod):
    (mount,) = [
        one for one in proxy_of(pod)["volumeMounts"] if one["mountPath"] == "/etc/ovh-proxy"
    ]

    assert mount["readOnly"] is True
    assert "subPath" not in mount


@both
def test_large_bodies_are_stored_outside_the_memory_limit(pod):
    mounts = {one["mountPath"]: one["name"] for one in proxy_of(pod)["volumeMounts"]}
    (spool,) = [one for one in pod["volumes"] if one["name"] == mounts["/tmp"]]
    limit = proxy_of(pod)["resources"]["limits"]["memory"]

    assert spool["emptyDir"].keys() == {"sizeLimit"}
    room = max_body_memory(1, int(limit.removesuffix("Mi")) * MIB)
    assert room is not None
    assert room >= Limits().memory_bodies_bytes


@both
def test_probes_use_the_admin_listener(pod):
    proxy = proxy_of(pod)
    asked = {
        name: proxy[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert port_of(proxy, "ovh-proxy-admin") == 9090
    assert {name: one["port"] for name, one in asked.items()} == dict.fromkeys(
        asked, "ovh-proxy-admin"
    )
    assert {name: one["path"] for name, one in asked.items()} == {
        "startupProbe": "/-/healthz",
        "livenessProbe": "/-/healthz",
        "readinessProbe": "/-/readyz",
    }


@pytest.mark.parametrize("overlay", ["sidecar", "gateway"])
def test_the_image_is_this_version_s(overlay):
    (image,) = read(OVERLAYS / overlay / "kustomization.yaml")["images"]

    assert (image["name"], image["newTag"]) == ("ovh-proxy", __version__)


def test_prometheus_finds_the_admin_port():
    scrape = read(KUBERNETES.parent / "prometheus" / "scrape-kubernetes.example.yaml")
    (job,) = scrape["scrape_configs"]
    kept = [one["regex"] for one in job["relabel_configs"] if one.get("action") == "keep"]

    assert kept == ["ovh-proxy-admin"]
    assert job["metrics_path"] == "/-/metrics"


def test_secrets_are_ignored_by_git():
    generated = [
        name
        for path in KUBERNETES.rglob("kustomization.yaml")
        for one in yaml.safe_load(path.read_text()).get("secretGenerator", ())
        for name in one["files"]
    ]
    ignored = (KUBERNETES / ".gitignore").read_text().splitlines()

    assert sorted(generated) == ["credentials.yaml", "shop.token"]
    assert {"credentials.yaml", "*.token"} <= set(ignored)
