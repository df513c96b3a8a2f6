from contextlib import nullcontext

import pytest
from conformance.contenders import CONTENDERS, Contender
from conformance.main import main


def test_write_requires_all_parts(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--parts", "slow", "--write", str(tmp_path / "page.md")])

    assert ended.value.code == 2
    assert "--write needs all parts" in capsys.readouterr().err


def test_a_missing_program_is_reported_with_its_package():
    absent = Contender("other", lambda setup: nullcontext(0), "no-such-program", "other-light")

    assert absent.missing() == "other is missing: apt-get install other-light"


def test_ovh_proxy_needs_no_installation():
    assert [one.missing() for one in CONTENDERS if one.name == "ovh-proxy"] == [None]
