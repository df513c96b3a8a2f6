import pytest

from ovh_proxy.config.sources import settings_path, state_directory, store_path

FINDERS = {
    "store": (store_path, "credentials", "OVH_PROXY_CREDENTIALS", "credentials.yaml"),
    "settings": (settings_path, "config", "OVH_PROXY_CONFIG", "ovh-proxy.yaml"),
}


@pytest.mark.parametrize(
    ("flag", "environ", "present", "expected"),
    [
        pytest.param("flag.yaml", {"V": "v.yaml"}, ["home", "etc"], "cwd/flag.yaml", id="flag"),
        pytest.param(None, {"V": "v.yaml"}, ["home", "etc"], "cwd/v.yaml", id="variable"),
        pytest.param(None, {"V": "/abs/v.yaml"}, [], "/abs/v.yaml", id="absolute variable"),
        pytest.param(None, {"V": ""}, ["home", "etc"], "home/.config/ovh-proxy/{}", id="home"),
        pytest.param(None, {"XDG": "xdg"}, ["home", "xdg", "etc"], "xdg/ovh-proxy/{}", id="xdg"),
        pytest.param(None, {"XDG": "xdg"}, ["home", "etc"], "etc/ovh-proxy/{}", id="not in xdg"),
        pytest.param(
            None, {"XDG": "relative"}, ["home"], "home/.config/ovh-proxy/{}", id="bad xdg"
        ),
        pytest.param(None, {}, ["etc"], "etc/ovh-proxy/{}", id="etc"),
        pytest.param(None, {}, [], None, id="nowhere"),
    ],
)
@pytest.mark.parametrize("file", FINDERS)
def test_the_first_path_is_used(machine, file, flag, environ, present, expected):
    find, flag_name, variable, name = FINDERS[file]
    paths = {"home": "home/.config/ovh-proxy/", "etc": "etc/ovh-proxy/", "xdg": "xdg/ovh-proxy/"}
    for place in present:
        machine.write(paths[place] + name, "x")
    xdg = environ.get("XDG", "")
    given = {
        variable: environ.get("V", ""),
        "XDG_CONFIG_HOME": str(machine.root / xdg) if xdg == "xdg" else xdg,
    }

    found = find(machine.sources(environ=given, **{flag_name: flag}))

    assert found == (expected and machine.root / expected.format(name))


def test_a_dangling_link_is_not_skipped(machine):
    directory = machine.root / "home" / ".config" / "ovh-proxy"
    directory.mkdir(parents=True)
    (directory / "credentials.yaml").symlink_to("gone")
    machine.write("etc/ovh-proxy/credentials.yaml", "profiles: {}")

    assert "does not exist" in str(machine.problems())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "home/.local/state/ovh-proxy", id="the user's own"),
        pytest.param({"XDG_STATE_HOME": "ROOT/xdg"}, "xdg/ovh-proxy", id="xdg"),
        pytest.param({"XDG_STATE_HOME": "xdg"}, "home/.local/state/ovh-proxy", id="bad xdg"),
        pytest.param(
            {"OVH_PROXY_STATE_DIR": "ROOT/state", "XDG_STATE_HOME": "ROOT/xdg"}, "state", id="named"
        ),
        pytest.param({"OVH_PROXY_STATE_DIR": "state"}, "cwd/state", id="named, relative"),
        pytest.param({"OVH_PROXY_STATE_DIR": ""}, "home/.local/state/ovh-proxy", id="empty"),
    ],
)
def test_the_state_directory_is_found(machine, environ, expected):
    given = {name: value.replace("ROOT", str(machine.root)) for name, value in environ.items()}

    found = state_directory(machine.sources(environ=given))

    assert found == machine.root / expected
