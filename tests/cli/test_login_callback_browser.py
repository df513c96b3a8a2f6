import sys

import pytest

from ovh_proxy.cli.login_callback import has_browser, open_browser

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="always has a browser")
NAMES = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_is_expected_with_browser_or_a_display(name: str) -> None:
    assert has_browser({name: "something"})


@pytest.mark.parametrize("environ", [{}, {"DISPLAY": ""}, {"TERM": "xterm"}])
def test_without_a_display_no_browser_is_expected(environ: dict[str, str]) -> None:
    assert not has_browser(environ)


def test_nothing_is_opened_without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    assert not open_browser("https://eu.api.ovh.com/auth/")
