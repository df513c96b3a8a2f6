"""The gateway in config/kubernetes: several replicas, for clients with tokens."""

import ipaddress

import pytest
from support.manifests import OVERLAYS, PODS, proxy_of, read

from ovh_proxy.core.settings import Settings, TcpAddress

GATEWAY = OVERLAYS / "gateway"
LABELS = read(GATEWAY / "deployment.yaml")["spec"]["template"]["metadata"]["labels"]


@pytest.fixture
def gateway(config, secrets, load) -> Settings:
    """The gateway's settings, loaded from a single directory as in the pod."""
    folder = config / "kubernetes" / "overlays" / "gateway"
    secrets.token(folder / "shop.token")
    loaded: Settings = load(secrets.store(folder / "credentials.yaml"), folder / "ovh-proxy.yaml")
    return loaded


def test_the_gateway_s_settings_load(gateway):
    assert [str(one.address) for one in gateway.listen] == ["0.0.0.0:8080"]
    assert gateway.admin_listen == TcpAddress("0.0.0.0", 9090)
    assert [client.name for client in gateway.clients] == ["shop"]


def test_the_gateway_accepts_every_name_of_its_service(gateway):
    service = read(GATEWAY / "service.yaml")["metadata"]["name"]
    namespace = read(GATEWAY / "kustomization.yaml")["namespace"]
    longest = f"{service}.{namespace}.svc.cluster.local"

    assert gateway.hosts == {
        service, f"{service}.{namespace}", f"{service}.{namespace}.svc", longest
    }  # fmt: skip


def test_the_gateway_s_pods_outlive_the_drain(gateway):
    pod, timeouts = PODS["gateway"], gateway.timeouts
    probe = proxy_of(pod)["readinessProbe"]

    assert pod["terminationGracePeriodSeconds"] > timeouts.drain_s + timeouts.drain_delay_s
    # Out of the Service before the listeners close.
    assert timeouts.drain_delay_s > probe["periodSeconds"] * probe["failureThreshold"]


def test_the_gateway_s_secrets_are_readable_only_by_its_user():
    (etc,) = [one for one in PODS["gateway"]["volumes"] if one["name"] == "etc"]

    assert etc["projected"]["defaultMode"] == 0o440
    assert PODS["gateway"]["securityContext"]["fsGroup"] == 65532


@pytest.mark.parametrize(
    "selector",
    [
        read(GATEWAY / "deployment.yaml")["spec"]["selector"]["matchLabels"],
        read(GATEWAY / "service.yaml")["spec"]["selector"],
        read(GATEWAY / "disruption-budget.yaml")["spec"]["selector"]["matchLabels"],
        read(GATEWAY / "network-policy.yaml")["spec"]["podSelector"]["matchLabels"],
        *(
            one["labelSelector"]["matchLabels"]
            for one in PODS["gateway"]["topologySpreadConstraints"]
        ),
    ],
    ids=["deployment", "service", "budget", "policy", "zones", "nodes"],
)
def test_all_selectors_of_the_gateway_match_its_pods(selector):
    assert selector == LABELS


def test_the_autoscaler_keeps_several_replicas():
    spec = read(GATEWAY / "autoscaler.yaml")["spec"]
    deployment = read(GATEWAY / "deployment.yaml")

    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert 1 < spec["minReplicas"] < spec["maxReplicas"]
    assert "replicas" not in deployment["spec"]
    assert "cpu" in proxy_of(PODS["gateway"])["resources"]["requests"]


def test_the_gateway_reaches_only_dns_and_public_https():
    names, web = read(GATEWAY / "network-policy.yaml")["spec"]["egress"]
    blocks = [one["ipBlock"] for one in web["to"]]
    excepted = [ipaddress.ip_network(one) for block in blocks for one in block["except"]]

    assert {one["port"] for one in names["ports"]} == {53}
    assert web["ports"] == [{"protocol": "TCP", "port": 443}]
    for private in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "fd00::1"):
        assert any(ipaddress.ip_address(private) in network for network in excepted)
