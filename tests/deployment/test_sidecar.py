"""The sidecar in config/kubernetes, which serves only its pod."""

from support.manifests import OVERLAYS, PODS, pod_of, proxy_of, read, variables_of

from ovh_proxy.cli.run import command
from ovh_proxy.core.settings import Timeouts


def test_the_sidecar_is_native_and_listens_only_to_its_pod():
    proxy = proxy_of(PODS["sidecar"])
    variables = variables_of(proxy)

    assert proxy["restartPolicy"] == "Always"
    assert proxy in PODS["sidecar"]["initContainers"]
    assert variables["OVH_PROXY_LISTEN"] == "127.0.0.1:8080"
    assert variables["OVH_PROXY_ADMIN_LISTEN"] == "0.0.0.0:9090"


def test_the_sidecar_s_variables_are_known():
    known = {f"OVH_PROXY_{one.name.upper()}" for one in command.params if one.name}

    assert variables_of(proxy_of(PODS["sidecar"])).keys() <= known


def test_the_sidecar_does_not_change_the_rest_of_the_pod():
    pod = PODS["sidecar"]

    assert pod.keys() == {"initContainers", "volumes"}
    assert all(one["name"].startswith("ovh-proxy-") for one in pod["volumes"])


def test_the_application_of_the_sidecar_has_no_keys():
    deployment = read(OVERLAYS / "sidecar" / "app.yaml")
    (app,) = pod_of(deployment)["containers"]

    assert variables_of(app) == {"OVH_PROXY_URL": "http://127.0.0.1:8080"}
    assert "volumeMounts" not in app
    assert deployment["metadata"]["labels"]["ovh-proxy"] == "sidecar"


def test_the_application_s_pod_outlives_the_drain():
    pod = pod_of(read(OVERLAYS / "sidecar" / "app.yaml"))
    delay = float(variables_of(proxy_of(PODS["sidecar"]))["OVH_PROXY_DRAIN_DELAY"])

    assert pod["terminationGracePeriodSeconds"] > delay + Timeouts().drain_s
