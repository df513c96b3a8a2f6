"""Kubernetes manifests, as written and as built by kustomize."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

OVERLAYS = Path(__file__).parents[2] / "config" / "kubernetes" / "overlays"


def read(path: Path) -> Manifest:
    """Returns the only manifest of a file."""
    manifest: Manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    return manifest


def of_kind(kind: str, manifests: Iterable[Manifest]) -> Manifest:
    """Returns the only manifest of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod_of(deployment: Manifest) -> Manifest:
    """Returns the spec of a deployment's pods."""
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return spec


def proxy_of(pod: Manifest) -> Manifest:
    """Returns the container of the proxy, a sidecar or not."""
    containers = [*pod.get("initContainers", ()), *pod.get("containers", ())]
    (found,) = [container for container in containers if container["name"] == "ovh-proxy"]
    return found


def variables_of(container: Manifest) -> dict[str, str]:
    """Returns the environment of a container."""
    return {one["name"]: one["value"] for one in container.get("env", ())}


def port_of(container: Manifest, name: str) -> int:
    """Returns the number of a named port."""
    (number,) = [one["containerPort"] for one in container["ports"] if one["name"] == name]
    return int(number)


PODS: dict[str, Manifest] = {
    "sidecar": pod_of(read(OVERLAYS / "sidecar" / "sidecar.yaml")),
    "gateway": pod_of(read(OVERLAYS / "gateway" / "deployment.yaml")),
}
"""The pod of the proxy in each overlay."""
