from pathlib import Path

import pytest
from benchmarks.contenders import CONTENDERS
from benchmarks.options import parse
from benchmarks.ovh_proxy_contender import CHECKOUT
from benchmarks.scenes import SCENES


def test_the_default_is_everything_five_times() -> None:
    options = parse([])

    assert options.scenes == tuple(SCENES)
    assert options.contenders == tuple(CONTENDERS)
    assert (options.rounds, options.seconds, options.connections) == (5, 3, (1, 16, 64, 256))


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        (["--scenes", "rate,up"], "scenes", ("rate", "up")),
        (["--contenders", "naive,direct,naive"], "contenders", ("naive", "direct")),
        (["--connections", "16,64"], "connections", (16, 64)),
        (["--quick"], "rounds", 1),
        (["--quick", "--rounds", "3"], "rounds", 3),
        (["--set", "workers: 2", "--set", "hosts: [a]"], "settings", ("workers: 2", "hosts: [a]")),
        (["--from-json", "a", "--from-json", "b"], "from_json", (Path("a"), Path("b"))),
        (["--proxy-core", "0"], "proxy_core", 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_is_parsed(arguments: list[str], name: str, expected: object) -> None:
    assert getattr(parse(arguments), name) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenes", "rates"], "unknown: rates (use rate, "),
        (["--contenders", ","], "at least one is required (use direct, "),
        (["--rounds", "0"], "not a list of numbers"),
        (["--connections", "16,x"], "not a list of numbers"),
        (["--mitmdump", "/no/where"], "program not found: /no/where"),
        (["--against", "/no/where"], "not a checkout of ovh-proxy: /no/where"),
    ],
    ids=["scene", "contender", "rounds", "connections", "program", "checkout"],
)
def test_an_unknown_value_is_rejected(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_every_scene_and_contender(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])

    words = capsys.readouterr().out.split()
    assert {*SCENES, *CONTENDERS} <= set(words)


def test_the_page_shows_the_settings_but_no_path() -> None:
    options = parse(["--against", str(CHECKOUT), "--set", "workers: 2"])

    assert options.against == CHECKOUT
    assert options.in_words["settings"] == "workers: 2"
    assert str(CHECKOUT) not in str(options.in_words)
