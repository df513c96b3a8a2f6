import pytest

from ovh_proxy.config.sources import settings_path, state_directory, store_path

FINDERS = {
    "store": (store_path, "credentials", "OVH_PROXY_CREDENTIALS", "credentials.yaml"),
    "settings": (settings_path, "config", "OVH_PROXY_CONFIG", "ovh-proxy.yaml"),
}


@pytest.mark.parametrize(
    ("flag", "environ", "there", "expected"),
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
def test_the_first_place_wins(machine, file, flag, environ, there, expected):
    find, flag_name, variable, name = FINDERS[file]
    places = {"home": "home/.config/ovh-proxy/", "etc": "etc/ovh-proxy/", "xdg": "xdg/ovh-proxy/"}
    for cursor in there:
        machine.write(places[cursor] + name, "x")
    xdg = environ.get("XDG", "")
    given = {
        variable: environ.get("V", ""),
        "XDG_CONFIG_HOME": str(machine.root / xdg) if xdg == "xdg" else xdg,
    }

    found = find(machine.sources(environ=given, **{flag_name: flag}))

    assert found == (expected and machine.root / expected.format(name))


def test_a_link_that_leads_nowhere_is_not_passed_over(machine):
    cursor = machine.root / "home" / ".config" / "ovh-proxy"
    cursor.mkdir(parents=True)
    (cursor / "credentials.yaml").symlink_to("gone")
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
def test_what_we_make_ourselves_has_a_place(machine, environ, expected):
    given = {name: value.replace("ROOT", str(machine.root)) for name, value in environ.items()}

    found = state_directory(machine.sources(environ=given))

    assert found == machine.root / expected
