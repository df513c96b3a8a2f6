import ast
from pathlib import Path

import pytest
from mutation.explained import key, read_explained
from mutation.mutants import mutants

PACKAGE = Path(__file__).resolve().parents[2] / "ovh_proxy"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = a < 2", ["x = a <= 2", "x = a < 3"]),
        ("x = a and not b", ["x = a or not b", "x = a and b"]),
        ("x = a + b'c'", ["x = a - b'c'", "x = a + b'XXc'"]),
        ("if a:\n    pass", ["if not a:"]),
        ("x = {1, 'a b'}", ["x = {'a b'}", "x = {1}", "x = {2, 'a b'}"]),
        ("x = a.lower()", ["x = a.upper()"]),
        ("a.clear()", ["pass"]),
        ("raise ValueError('what is wrong')", ["pass"]),
        ("def f() -> int:\n    'Docstring.'\n    return -a", ["return None", "return a"]),
        ("__slots__ = ('a', 'b')", []),
        ("_LONGEST_S = 2.0", []),
        ("a: Literal['b'] = c", []),
        ("@cache(9)\ndef f():\n    pass", []),
    ],
)
def test_every_mutation_of_a_line_is_generated(line, expected):
    found = [one.name.partition(" -> ")[2] for one in mutants("m.py", line)]

    assert found == expected


def test_every_mutant_is_distinct():
    text = next(PACKAGE.glob("*/retry.py")).read_text()

    found = mutants("retry.py", text)

    assert len({one.source for one in found}) == len({one.name for one in found}) == len(found) > 20
    parsed = {ast.dump(ast.parse(one.source)) for one in found}
    assert ast.dump(ast.parse(text)) not in parsed
    assert len(parsed) == len(found)


def test_every_explained_mutant_exists():
    explained = read_explained()
    modules = {name.partition(":")[0] for name in explained}

    found = {
        key(one.name) for name in modules for one in mutants(name, (PACKAGE / name).read_text())
    }

    assert explained.keys() <= found
    assert all(reason.endswith(".") for reason in explained.values())
