"""The overlays in config/kubernetes, built by kustomize, match Kubernetes' schemas."""

import subprocess
from pathlib import Path

import pytest
import yaml
from support.manifests import of_kind, pod_of, proxy_of
from support.tools import said_by, tool

from ovh_proxy import __version__

# The first with native sidecars without a feature gate, and a recent one.
VERSIONS = ("1.29", "1.34")


@pytest.fixture(params=["sidecar", "gateway"])
def overlay(request, config, secrets) -> Path:
    """Each overlay, with the secrets that its first lines describe."""
    folder = config / "kubernetes"
    secrets.store(folder / "base" / "credentials.yaml")
    secrets.token(folder / "overlays" / "gateway" / "shop.token")
    return folder / "overlays" / request.param


def kustomize(overlay: Path) -> subprocess.CompletedProcess[str]:
    program = tool("kustomize", "kubectl")
    if not program.endswith("kubectl"):
        return said_by(program, "build", overlay)
    if "kustomizeVersion" not in said_by(program, "version", "--client", "--output=json").stdout:
        pytest.skip("this kubectl's kustomize is older than these files")
    return said_by(program, "kustomize", overlay)


def build(overlay: Path) -> str:
    result = kustomize(overlay)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_the_overlays(overlay, tmp_path, version):
    validate = tool("kubernetes-validate")
    built = tmp_path / "built.yaml"
    built.write_text(build(overlay))

    result = said_by(validate, "--strict", "--kubernetes-version", version, "--quiet", built)

    assert (result.returncode, result.stdout) == (0, "")


def test_the_sidecar_joins_the_application(config, secrets):
    secrets.store(config / "kubernetes" / "base" / "credentials.yaml")

    built = [*yaml.safe_load_all(build(config / "kubernetes" / "overlays" / "sidecar"))]

    pod = pod_of(of_kind("Deployment", built))
    assert [one["name"] for one in pod["containers"]] == ["app"]
    assert proxy_of(pod)["image"] == "registry.example.com/ovh-proxy:" + __version__
    assert of_kind("Secret", built)["metadata"]["name"] == "ovh-proxy-store"
    assert pod["volumes"][0]["secret"]["secretName"] == "ovh-proxy-store"


def test_an_overlay_without_a_store_is_not_built(config):
    result = kustomize(config / "kubernetes" / "overlays" / "sidecar")

    assert result.returncode
    assert "credentials.yaml" in result.stdout


def test_secrets_keep_their_names_so_that_a_change_restarts_nothing(overlay):
    built = [*yaml.safe_load_all(build(overlay))]

    named = {one["metadata"]["name"] for one in built if one["kind"] == "Secret"}
    assert "ovh-proxy-store" in named
    assert named <= {"ovh-proxy-store", "ovh-proxy-clients"}
