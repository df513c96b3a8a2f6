from contextlib import nullcontext

import pytest
from conformance.contenders import CONTENDERS, Contender
from conformance.main import main


def test_tables_are_not_renewed_by_halves(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--parts", "slow", "--write", str(tmp_path / "page.md")])

    assert ended.value.code == 2
    assert "--write needs all parts" in capsys.readouterr().err


def test_a_program_that_is_missing_is_named_with_its_package():
    absent = Contender("other", lambda place: nullcontext(0), "no-such-program", "other-light")

    assert absent.missing() == "other is missing: apt-get install other-light"


def test_our_own_proxy_comes_with_the_checkout():
    assert [one.missing() for one in CONTENDERS if one.name == "ovh-proxy"] == [None]
