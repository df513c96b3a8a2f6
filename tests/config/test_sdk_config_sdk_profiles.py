"""The official SDKs' configuration, used as it is."""

import pytest

from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.secret import Secret

KEYS = "application_key=AK1\napplication_secret=AS1\nconsumer_key=CK1\n"
ENVIRON = {
    "OVH_APPLICATION_KEY": "AK2",
    "OVH_APPLICATION_SECRET": "AS2",
    "OVH_CONSUMER_KEY": "CK2",
}
FROM_FILE = ApplicationCredential(Secret("AK1"), Secret("AS1"), Secret("CK1"))
FROM_ENVIRON = ApplicationCredential(Secret("AK2"), Secret("AS2"), Secret("CK2"))
URL = "http://127.0.0.1:8080/1.0"


def write(machine, files):
    for name, text in files.items():
        path = {"here": "cwd/ovh.conf", "home": "home/.ovh.conf", "etc": "etc/ovh.conf"}[name]
        machine.write(path, text, mode=0o644)


@pytest.mark.parametrize(
    ("files", "environ", "profiles", "default", "source"),
    [
        pytest.param(
            {"home": f"[default]\nendpoint=ovh-ca\n[ovh-ca]\n{KEYS}"},
            {},
            {"ovh-ca": ("ovh-ca", FROM_FILE)},
            "ovh-ca",
            "~/.ovh.conf",
            id="a file",
        ),
        pytest.param(
            {}, ENVIRON, {"ovh-eu": ("ovh-eu", FROM_ENVIRON)}, "ovh-eu", "OVH_*", id="variables"
        ),
        pytest.param(
            {},
            {"OVH_ENDPOINT": "ovh-us", "OVH_CLIENT_ID": "id", "OVH_CLIENT_SECRET": "CS"},
            {
                "ovh-us": (
                    "ovh-us",
                    ServiceAccount("id", Secret("CS"), "https://us.ovhcloud.com/auth/oauth2/token"),
                )
            },
            "ovh-us",
            "OVH_*",
            id="a service account",
        ),
        pytest.param(
            {"etc": f"[ovh-eu]\n{KEYS}[ovh-cli]\ndefault_cloud_project=x\naccess_token=no\n"},
            {"OVH_CONSUMER_KEY": "CK2", "OVH_APPLICATION_KEY": ""},
            {
                "ovh-eu": (
                    "ovh-eu",
                    ApplicationCredential(Secret("AK1"), Secret("AS1"), Secret("CK2")),
                )
            },
            "ovh-eu",
            "OVH_* and {etc}/ovh.conf",
            id="a variable over a file",
        ),
        pytest.param(
            {
                "etc": "[ovh-eu]\napplication_key=no\napplication_secret=AS1\n",
                "home": "[ovh-eu]\napplication_key=no\nconsumer_key=CK1\n",
                "here": "[ovh-eu]\napplication_key=AK1\n",
            },
            {},
            {"ovh-eu": ("ovh-eu", FROM_FILE)},
            "ovh-eu",
            "./ovh.conf, ~/.ovh.conf and {etc}/ovh.conf",
            id="a key of each file",
        ),
        pytest.param(
            {
                "home": f"[default]\nendpoint=ovh-eu\n[ovh-eu]\n{KEYS}[ovh-ca]\naccess_token=AT1\n"
                "[profile:work]\nendpoint=ovh-us\naccess_token=AT2\n"
                "[profile: play]\naccess_token=AT3\n[ovh-us]\nconsumer_key=\n"
            },
            {},
            {
                "ovh-eu": ("ovh-eu", FROM_FILE),
                "ovh-ca": ("ovh-ca", AccessToken(Secret("AT1"))),
                "work": ("ovh-us", AccessToken(Secret("AT2"))),
                "play": ("ovh-eu", AccessToken(Secret("AT3"))),
            },
            "ovh-eu",
            "~/.ovh.conf",
            id="several profiles",
        ),
        pytest.param(
            {"home": f"[default]\nprofile=work\n[profile:work]\n{KEYS}"},
            ENVIRON,
            {"ovh-eu": ("ovh-eu", FROM_ENVIRON), "work": ("ovh-eu", FROM_FILE)},
            "work",
            "OVH_* and ~/.ovh.conf",
            id="a default by its file",
        ),
        pytest.param(
            {"home": f"[default]\nprofile=work\n[profile:work]\n{KEYS}[ovh-ca]\n{KEYS}"},
            {"OVH_PROFILE": "default", "OVH_ENDPOINT": "ovh-ca"},
            {"work": ("ovh-ca", FROM_FILE), "ovh-ca": ("ovh-ca", FROM_FILE)},
            "ovh-ca",
            "OVH_* and ~/.ovh.conf",
            id="the virtual default",
        ),
        pytest.param(
            {"home": f"[profile:a]\n{KEYS}[profile:b]\n{KEYS}"},
            {"OVH_PROFILE": "b"},
            {"a": ("ovh-eu", FROM_FILE), "b": ("ovh-eu", FROM_FILE)},
            "b",
            "OVH_* and ~/.ovh.conf",
            id="a default by a variable",
        ),
        pytest.param(
            {"home": f"[profile:a]\n{KEYS}[profile:b]\n{KEYS}"},
            {},
            {"a": ("ovh-eu", FROM_FILE), "b": ("ovh-eu", FROM_FILE)},
            None,
            "~/.ovh.conf",
            id="no default",
        ),
        pytest.param(
            {"here": f"[default]\nendpoint={URL}\n[{URL}]\n{KEYS}"},
            {},
            {"127.0.0.1-8080": (URL, FROM_FILE)},
            "127.0.0.1-8080",
            "./ovh.conf",
            id="a base URL with its keys",
        ),
        pytest.param(
            {"here": f"[default]\nendpoint={URL}\n", "home": f"[{URL}]\n{KEYS}"},
            {},
            {"127.0.0.1-8080": (URL, FROM_FILE)},
            "127.0.0.1-8080",
            "./ovh.conf and ~/.ovh.conf",
            id="a base URL that the keys' own file names",
        ),
        pytest.param(
            {"home": f"[{URL}]\n{KEYS}[{URL}/x]\n{KEYS}[{URL}/y]\n{KEYS}"},
            {},
            {
                "127.0.0.1-8080": (URL, FROM_FILE),
                "127.0.0.1-8080-2": (f"{URL}/x", FROM_FILE),
                "127.0.0.1-8080-3": (f"{URL}/y", FROM_FILE),
            },
            None,
            "~/.ovh.conf",
            id="base URLs of one host",
        ),
        pytest.param(
            {"home": f"[http://[::1]:80/1.0]\n{KEYS}"},
            {},
            {"1-80": ("http://[::1]/1.0", FROM_FILE)},
            None,
            "~/.ovh.conf",
            id="a base URL with an address",
        ),
        pytest.param(
            {},
            ENVIRON | {"OVH_ENDPOINT": URL},
            {"127.0.0.1-8080": (URL, FROM_ENVIRON)},
            "127.0.0.1-8080",
            "OVH_*",
            id="a base URL in a variable",
        ),
    ],
)
def test_the_configuration_of_the_sdks_is_used_and_its_source_is_named(
    machine, files, environ, profiles, default, source
):
    write(machine, files)

    store = machine.load(environ=environ).store

    assert {
        name: (profile.endpoint.name, profile.credential)
        for name, profile in store.profiles.items()
    } == profiles
    assert store.default == default
    assert store.source.replace(str(machine.root / "etc"), "{etc}") == source
    assert store.is_fallback


@pytest.mark.parametrize(
    ("files", "environ", "source", "line", "path", "message"),
    [
        pytest.param(
            {"here": f"[default]\nendpoint={URL}\n"},
            ENVIRON,
            "./ovh.conf",
            2,
            "127.0.0.1-8080.endpoint",
            "is not used with keys from OVH_*",
            id="a base URL from here, keys from variables",
        ),
        pytest.param(
            {"here": f"[default]\nendpoint={URL}\n[{URL}]\napplication_key=AK1\n"},
            {"OVH_APPLICATION_SECRET": "S3CRET", "OVH_CONSUMER_KEY": "S3CRET"},
            "./ovh.conf",
            2,
            "127.0.0.1-8080.endpoint",
            "is not used with keys from OVH_*",
            id="a base URL and one key from here",
        ),
        pytest.param(
            {"here": f"[profile:work]\nendpoint={URL}\n", "home": f"[profile:work]\n{KEYS}"},
            {},
            "./ovh.conf",
            2,
            "work.endpoint",
            "is not used with keys from ~/.ovh.conf",
            id="a base URL from here, keys from home",
        ),
        pytest.param(
            {"here": f"[default]\nendpoint={URL}\n", "home": f"[profile:work]\n{KEYS}"},
            {},
            "./ovh.conf",
            2,
            "work.endpoint",
            "is not used with keys from ~/.ovh.conf",
            id="a default base URL from here, keys from home",
        ),
        pytest.param(
            {"home": "[ovh-eu]\napplication_key=S3CRET\nconsumer_key=S3CRET\n"},
            {},
            "~/.ovh.conf",
            2,
            "ovh-eu.application_secret",
            "missing key; application_key needs it",
            id="half a credential",
        ),
        pytest.param(
            {"home": f"[ovh-eu]\n{KEYS}"},
            {"OVH_CLIENT_ID": "S3CRET"},
            "environment",
            0,
            "OVH_CLIENT_ID",
            "application_key and client_id exclude each other",
            id="mixed credentials",
        ),
        pytest.param(
            {},
            ENVIRON | {"OVH_CONSUMER_KEY": "S3CRET S3CRET"},
            "environment",
            0,
            "OVH_CONSUMER_KEY",
            "white space",
            id="a blank in a variable",
        ),
        pytest.param(
            {"home": f"[ovh-eu]\n{KEYS}  S3CRET\n"},
            {},
            "~/.ovh.conf",
            4,
            "ovh-eu.consumer_key",
            "line break",
            id="a continued line",
        ),
        pytest.param(
            {"home": f"[default]\nendpoint=ovheu\n[ovh-eu]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            2,
            "default.endpoint",
            "no keys for endpoint 'ovheu'",
            id="a default endpoint without keys",
        ),
        pytest.param(
            {},
            ENVIRON | {"OVH_ENDPOINT": "ovheu"},
            "environment",
            0,
            "OVH_ENDPOINT",
            "did you mean 'ovh-eu'?",
            id="an unknown endpoint",
        ),
        pytest.param(
            {"home": f"[ftp://x/1.0]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            2,
            "x.endpoint",
            "must start with https://",
            id="a section with no such URL",
        ),
        pytest.param(
            {"home": f"[/]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            2,
            "base-url.endpoint",
            "must start with https://",
            id="a section that is no URL",
        ),
        pytest.param(
            {"home": f"[profile:a b]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            2,
            "?.application_key",
            "invalid profile name 'a b'",
            id="a profile's name",
        ),
        pytest.param(
            {"home": f"[profile:ovh-eu]\n{KEYS}[ovh-eu]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            6,
            "ovh-eu.application_key",
            "duplicate profile name 'ovh-eu'",
            id="one name for two profiles",
        ),
        pytest.param(
            {"home": f"[profile:work]\n{KEYS}"},
            {"OVH_PROFILE": "wrok"},
            "environment",
            0,
            "OVH_PROFILE",
            "unknown profile 'wrok'; did you mean 'work'?",
            id="an unknown profile",
        ),
        pytest.param(
            {"home": f"[default]\nprofile=wrok\n[profile:work]\n{KEYS}"},
            {},
            "~/.ovh.conf",
            2,
            "default.profile",
            "unknown profile 'wrok'; did you mean 'work'?",
            id="an unknown profile in a file",
        ),
        pytest.param(
            {"home": "[kimsufi-eu]\nclient_id=x\nclient_secret=y\n"},
            {},
            "~/.ovh.conf",
            2,
            "kimsufi-eu.client_id",
            "kimsufi-eu has no service accounts",
            id="a service account at kimsufi",
        ),
    ],
)
def test_a_problem_of_the_sdks_configuration_has_its_location(
    machine, files, environ, source, line, path, message
):
    write(machine, files)

    (problem,) = machine.problems(environ=environ)

    assert (problem.source, problem.line, problem.path) == (source, line, path)
    assert message in problem.message
    assert "S3CRET" not in problem.message


def test_a_named_endpoint_from_here_can_be_used_with_other_keys(machine):
    write(machine, {"here": "[default]\nendpoint=ovh-ca\n"})

    assert machine.load(environ=ENVIRON).store.profiles["ovh-ca"].credential == FROM_ENVIRON


def test_files_without_keys_are_no_credentials(machine):
    write(machine, {"home": "[default]\nendpoint=ovh-eu\n[ovh-eu]\nconsumer_key=\n"})

    (problem,) = machine.problems(environ={"OVH_ENDPOINT": "ovh-eu"})

    assert problem.source == "credentials"


def test_a_store_is_used_instead_of_the_sdks_configuration(machine):
    write(machine, {"here": "nonsense"})
    machine.write(
        "etc/ovh-proxy/credentials.yaml", "profiles: {a: {endpoint: ovh-eu, access_token: T}}"
    )

    assert set(machine.load(environ=ENVIRON).store.profiles) == {"a"}
