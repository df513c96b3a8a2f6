import os
import re
import time
from pathlib import Path

import pytest

from ovh_proxy.config.secret_references import (
    Reference,
    ResolveContext,
    Unresolved,
    parse_key,
    parse_secret,
    quoted_variables,
    resolve,
    resolve_all,
)
from ovh_proxy.core.secret import Secret


def context(directory: Path, **changes) -> ResolveContext:
    environ = {"PATH": os.environ["PATH"], "KEY": "S3CRET", "EMPTY": "", "BLANK": "S3 CRET"}
    given = {"environ": environ, "home": directory / "home", "directory": directory}
    return ResolveContext(**(given | changes))


@pytest.mark.parametrize("text", ["S3CRET", "S3CRET\n", "S3CRET\r\n"])
@pytest.mark.parametrize("kind", ["file", "absolute", "home", "command"])
def test_one_newline_at_the_end_is_dropped(tmp_path, kind, text):
    (tmp_path / "home").mkdir()
    for path in (tmp_path / "key", tmp_path / "home" / "key"):
        path.write_bytes(text.encode())
        path.chmod(0o600)
    reference = {
        "file": Reference("file", ("key",)),
        "absolute": Reference("file", (str(tmp_path / "key"),)),
        "home": Reference("file", ("~/key",)),
        "command": Reference("command", ("cat", "key")),
    }[kind]

    assert resolve(reference, context(tmp_path)) == Secret("S3CRET")


def test_a_variable_is_used_unchanged(tmp_path):
    assert resolve(Reference("env", ("KEY",)), context(tmp_path)) == Secret("S3CRET")


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        pytest.param("env", ("NO_SUCH",), "variable NO_SUCH is not set; export it", id="unset"),
        pytest.param("env", ("EMPTY",), "variable EMPTY is empty", id="empty variable"),
        pytest.param(
            "env",
            ("S3cretS3CRET",),
            "variable (name not shown, it may be a secret) is not set",
            id="a key for a name",
        ),
        pytest.param("env", ("BLANK",), "white space", id="blank in a variable"),
        pytest.param("file", ("none",), "none does not exist", id="dangling file"),
        pytest.param("file", (".",), "is a directory", id="directory"),
        pytest.param("file", ("empty",), "empty secret; write the key there", id="empty file"),
        pytest.param("file", ("lines",), "white space or a line break", id="two newlines"),
        pytest.param("file", ("loose",), "chmod 600", id="loose file"),
        pytest.param("file", ("large",), "is larger than 65536 bytes", id="large file"),
        pytest.param("command", ("false",), "false failed with exit code 1", id="failing command"),
        pytest.param(
            "command", ("true",), "empty secret; write the key there", id="silent command"
        ),
        pytest.param("keyring", ("a",), "needs a service and a user, got 1 values", id="keyring"),
    ],
)
def test_an_unresolvable_reference_says_why_without_the_secret(tmp_path, kind, arguments, message):
    contents = {"empty": "", "lines": "S3CRET\n\n", "loose": "S3CRET", "large": "S3CRET" * 20_000}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "loose" else 0o600)

    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        resolve(Reference(kind, arguments), context(tmp_path))

    assert "S3CRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_others_may_read_can_be_allowed(tmp_path):
    (tmp_path / "key").write_text("S3CRET")
    (tmp_path / "key").chmod(0o644)
    allowing = context(tmp_path, allow_loose_permissions=True)

    assert resolve(Reference("file", ("key",)), allowing) == Secret("S3CRET")


def test_commands_run_concurrently_and_keep_their_order(tmp_path):
    where = context(tmp_path)
    code = "sleep 0.5; echo $0"
    wanted = [(Reference("command", ("sh", "-c", code, str(n))), where) for n in range(8)]
    wanted.append((Reference("env", ("NO_SUCH",)), where))
    started = time.monotonic()

    found = resolve_all(wanted)

    assert time.monotonic() - started < 3
    assert found[:-1] == [Secret(str(n)) for n in range(8)]
    assert isinstance(found[-1], Unresolved)


@pytest.mark.parametrize(
    "text", ["", " a", "a\n", "a\tb", "a\u00a0b", "é", "a\x00b", "a\x7fb", "a\u2028b", "a\ud800"]
)
def test_text_that_no_header_can_carry_is_not_a_secret(text):
    with pytest.raises(ValueError, match="secret"):
        parse_secret(text)


def test_a_reference_does_not_show_its_arguments():
    assert "S3CRET" not in repr(Reference("command", ("echo", "S3CRET")))
    assert "S3CRET" not in repr(context(Path("/")))


NOT_KEYS = [
    pytest.param('"S3CRET"', "quotes", id="double quotes"),
    pytest.param("'S3CRET'", "quotes", id="quotes"),
    pytest.param('"S3 CRET"', "quotes", id="quotes around a blank"),
    pytest.param("OVH_SECRET=S3CRET", "write only the value", id="an assignment"),
    pytest.param('export OVH_SECRET="S3CRET"', "write only the value", id="an export"),
    pytest.param("${S3CRET}", "placeholder", id="a variable"),
    pytest.param("$S3CRET", "placeholder", id="a short variable"),
    pytest.param("{{ S3CRET }}", "placeholder", id="a template"),
    pytest.param("<S3CRET key>", "placeholder", id="an example"),
]


@pytest.mark.parametrize(("text", "message"), NOT_KEYS)
@pytest.mark.parametrize("parse", [parse_key, parse_secret])
def test_a_quoted_value_or_a_placeholder_is_not_a_secret(parse, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ['S3"CRET', "S3CRET'", "S3CRET=", "a=S3CRET", "S3$CRET", "S3<CRET"]
)
def test_a_key_with_a_character_that_no_key_has_is_refused(text):
    with pytest.raises(ValueError, match="contains") as caught:
        parse_key(text)

    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("text", ["c2VjcmV0IQ==", "QUJDRA==", "pa$$w0rd", "http://u:p=x@h:8080"])
def test_a_client_token_or_a_proxy_url_may_have_these_characters(text):
    assert parse_secret(text) == Secret(text)


def test_a_pair_of_quotes_around_a_variable_is_removed_with_a_warning(tmp_path):
    environ = {"KEY": '"S3CRET"', "PLAIN": "S3CRET"}
    references = [Reference("env", (name,)) for name in ("KEY", "PLAIN", "NONE")]

    found = resolve(references[0], context(tmp_path, environ=environ))

    assert found == Secret("S3CRET")
    (warning,) = quoted_variables([*references, Reference("file", ("KEY",))], environ)
    assert warning.startswith("environment variable KEY: the quotes around the value were removed")


def test_a_variable_of_nothing_but_quotes_is_empty(tmp_path):
    with pytest.raises(ValueError, match="KEY is empty"):
        resolve(Reference("env", ("KEY",)), context(tmp_path, environ={"KEY": '""'}))


@pytest.mark.parametrize(
    "key", ["7kbG7Bk7S9Nt7ZSV", "8c5fa2b1d93e4760", "a/7kbG7Bk7S9Nt7ZSV", "K7G7BK7S9NT7ZSV1"]
)
@pytest.mark.parametrize("kind", ["file", "command", "env"])
def test_a_key_in_place_of_a_name_is_not_shown(tmp_path, kind, key):
    with pytest.raises(ValueError, match="name not shown, it may be a secret") as caught:
        resolve(Reference(kind, (key,)), context(tmp_path))

    assert key[-12:] not in str(caught.value)


def test_the_directory_of_a_hidden_name_is_shown(tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path}/(name not shown")):
        resolve(Reference("file", (f"{tmp_path}/none/7kbG7Bk7S9Nt7ZSV",)), context(tmp_path))


@pytest.mark.parametrize("name", ["7kbG7Bk7S9Nt7ZSV", "keys.d/x86-k8s.key"])
def test_a_file_that_exists_is_named(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)

    with pytest.raises(ValueError, match=f"{re.escape(name)} is a directory"):
        resolve(Reference("file", (name,)), context(tmp_path))


def test_a_program_that_cannot_be_started_is_named_if_it_exists(tmp_path):
    (tmp_path / "k8s4x").write_text("")

    with pytest.raises(ValueError, match=re.escape("cannot start ./k8s4x")):
        resolve(Reference("command", ("./k8s4x",)), context(tmp_path))
