"""YAML that is accepted and rejected, by libyaml and by PyYAML's own parser."""

import re

import pytest
import yaml

from ovh_proxy.config.nodes import Entries, Items, Scalar
from ovh_proxy.config.yaml_reader import MAX_DEPTH, parse_yaml

LOADERS = [
    pytest.param(getattr(yaml, "CSafeLoader", yaml.SafeLoader), id="libyaml"),
    pytest.param(yaml.SafeLoader, id="PyYAML"),
]


@pytest.mark.parametrize("loader", LOADERS)
def test_values_have_their_lines_and_their_text_as_written(loader):
    text = "a: 0600\n'b':\n  - \"x\"\n  - {c: 1e10}\n"

    tree, problems = parse_yaml(text, "f", loader)

    assert problems == []
    assert tree == Entries(
        {
            "a": Scalar("0600", 1, plain=True),
            "b": Items(
                (
                    Scalar("x", 3),
                    Entries({"c": Scalar("1e10", 4, plain=True)}, {"c": 4}, 4, size=2),
                ),
                3,
                size=4,
            ),
        },
        {"a": 1, "b": 2},
        1,
        size=6,
    )


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_a_text_without_values_has_no_problems(loader, text):
    assert parse_yaml(text, "f", loader) == (None, [])


@pytest.mark.parametrize("loader", LOADERS)
def test_an_alias_is_its_anchor(loader):
    tree, problems = parse_yaml("a: &x [1]\nb: *x\n", "f", loader)

    assert problems == []
    assert tree.entries["a"] is tree.entries["b"]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        pytest.param(
            "a: !!str S3CRET\n", 1, "a", "YAML tags are not supported", id="a tag of YAML's own"
        ),
        pytest.param("a:\n  - !S3CRET x\n", 2, "a[0]", "in quotes", id="a tag of ours"),
        pytest.param(
            "a: ! S3CRET\n", 1, "a", "YAML tags are not supported", id="a tag without name"
        ),
        pytest.param("!!map {a: 1}\n", 1, "", "YAML tags are not supported", id="a tag for all"),
        pytest.param(
            "!!python/name:os.system a: 1\n",
            1,
            "",
            "YAML tags are not supported",
            id="a tag on a key",
        ),
        pytest.param("b: 1\na: 1\na: S3CRET\n", 3, "a", "first on line 2", id="a duplicate key"),
        pytest.param("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "c", "merge keys", id="a merge key"),
        pytest.param(
            "? [S3CRET]\n: 1\n", 1, "", "a key must be text, not a list", id="a list as a key"
        ),
        pytest.param("a: *S3CRET\n", 1, "a", "alias without an anchor", id="an alias of nothing"),
        pytest.param(
            "a: &a\n  b: *a\n", 2, "a.b", "alias inside its own anchor", id="an alias of itself"
        ),
        pytest.param(LAUGHS, 5, "e", "more than 20000 values", id="a billion laughs"),
        pytest.param(
            "a: " + "[" * 500,
            1,
            "a" + "[0]" * MAX_DEPTH,
            "nested more than 32 levels",
            id="too deep",
        ),
        pytest.param("a: 1\n---\nb: S3CRET\n", 2, "", "second document", id="two documents"),
        pytest.param("a: 1\nb: [S3CRET\n", 3, "", "invalid YAML: ", id="no end"),
        pytest.param("a: 1\n\tS3CRET: 1\n", 2, "", "invalid YAML: found", id="a tab"),
        pytest.param("a: 'S3CRET\n", 2, "", "invalid YAML: found unexpected end", id="no quote"),
        pytest.param("a: %S3CRET\n", 1, "", "invalid YAML: found character", id="a percent sign"),
        pytest.param(
            'a: "\\S3CRET"\n', 1, "", "invalid YAML: found unknown escape", id="an escape"
        ),
        pytest.param("a: b: S3CRET\n", 1, "", "invalid YAML: mapping values", id="two colons"),
        pytest.param("a: 1\nb: S3\0CRET\n", 2, "", "control character", id="a null byte"),
        pytest.param("a: 1\n\n\ufeffb: S3CRET\n", 3, "", "control character", id="a late mark"),
    ],
)
def test_the_problem_of_bad_yaml_has_its_line_and_none_of_its_text(
    loader, text, line, path, message
):
    _, problems = parse_yaml(text, "f", loader)

    assert (problems[0].source, problems[0].line, problems[0].path) == ("f", line, path)
    assert message in problems[0].message
    assert "S3CRET" not in str(problems)


@pytest.mark.parametrize("loader", LOADERS)
def test_endlessly_nested_yaml_is_rejected(loader):
    # libyaml 0.2.6 reads ahead and gives up before our own bound is reached.
    tree, problems = parse_yaml("a: " + "[" * 100_000, "f", loader)

    assert tree is None
    assert [problem.line for problem in problems] == [1]
    assert re.search("nested more than|maximum nesting depth", problems[0].message)


@pytest.mark.parametrize("loader", LOADERS)
def test_values_beside_a_problem_are_read(loader):
    tree, problems = parse_yaml("a: 1\n<<: {z: 1}\n[b]: 2\na: 3\nc: !t 4\n", "f", loader)

    assert len(problems) == 4
    assert {key: node.text for key, node in tree.entries.items()} == {"a": "1", "c": "4"}
