import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/reliability.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_a_promise_names_is_there(file, name):
    text = (ROOT / file).read_text("utf-8")

    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


def test_every_promise_has_a_bound_and_a_test():
    tables = re.findall(r"^\| promise .*\n\|-.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    promises = [row for table in tables for row in table.splitlines()]

    bare = [row for row in promises if not re.match(r"\| .+ \| .+ \| (?:`tests/|the same \|)", row)]

    assert bare == []
    assert len(promises) > 60
