import ast
import copy
import dataclasses
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import ovh_proxy
from ovh_proxy.core.secret import Secret

PACKAGE = Path(ovh_proxy.__file__).parent

# A function that is added here needs a reason that a reviewer can see.
FUNCTIONS_THAT_REVEAL = {
    "auth/token_cache.py: CachedToken._fetch",  # the other workers get the access token
    "cli/login.py: finish",  # `login --print`, whose output is the key
    "config/client_fields.py: _read_token",  # a client token becomes its digest
    "config/keyring.py: write_entry",  # the system's keyring gets a key
    "config/profile_fields.py: secret.read",  # checks the characters of a referenced key
    "config/profile_fields.py: revealed",  # a client_id may be a reference, and is no secret
    "config/settings_fields.py: _read_proxy",  # the URL of a proxy; its login is kept as a secret
    "credential_store/pending_keys.py: write_pending",  # a key that waits for its validation
    "credential_store/writer.py: StoreWriter._replace_key_file",  # a file that a profile refers to
    "credential_store/writer.py: _written",  # the text of the store
    "ovhcloud/oauth2.py: bearer_header",  # the header that shows an access token
    "ovhcloud/oauth2.py: token_request",  # the request for an access token
    "ovhcloud/signature.py: SignedText.__init__",  # the text that is hashed
    "ovhcloud/signature.py: _consumer_key",  # the same, and X-Ovh-Consumer
    "ovhcloud/signature.py: application_header",  # X-Ovh-Application
    "upstream/connect_proxy.py: connect_request",  # the login for an HTTP proxy
}


def functions_that_reveal(node: ast.AST, names: tuple[str, ...] = ()) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from functions_that_reveal(child, (*names, child.name))
                continue
            case ast.Attribute(attr="reveal" | "_text") | ast.Constant(value="reveal" | "_text"):
                yield ".".join(names)
        yield from functions_that_reveal(child, names)


def test_only_these_functions_reveal_secrets():
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}: {function}"
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "core/secret.py"
        for function in functions_that_reveal(ast.parse(path.read_text("utf-8")))
    }

    assert found == FUNCTIONS_THAT_REVEAL


def test_reveal_returns_the_text():
    assert Secret("s3cr3t").reveal() == "s3cr3t"


@dataclasses.dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        "{:>20}".format,
        "%s".__mod__,
        "%r".__mod__,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:.3}",
        lambda secret: f"{[secret]} { ({'key': secret}) }",
        lambda secret: repr(Holder(secret)),
        lambda secret: str(ValueError(secret)),
        lambda secret: logging.LogRecord("", 0, "", 0, "%s", (secret,), None).getMessage(),
    ],
    ids=[
        "repr",
        "str",
        "format",
        "format !r",
        "format >20",
        "%s",
        "%r",
        "f-string",
        "f-string .3",
        "container",
        "dataclass",
        "exception",
        "log",
    ],
)
def test_a_secret_never_shows_itself(show):
    shown = show(Secret("s3cr3t"))

    assert "***" in shown
    assert "s3c" not in shown


def test_a_traceback_with_local_variables_shows_no_secret():
    def fail(secret):
        local = {"credential": secret}
        raise RuntimeError(f"failed with {local}")

    with pytest.raises(RuntimeError) as failed:
        fail(Secret("s" + "3cr3t"))

    formatted = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    shown = "".join(formatted.format())
    assert "***" in shown
    assert "s3cr3t" not in shown


@pytest.mark.parametrize(
    "leave",
    [
        *(lambda secret, v=version: pickle.dumps(secret, v) for version in range(6)),
        copy.copy,
        copy.deepcopy,
        lambda secret: dataclasses.asdict(Holder(secret)),
    ],
    ids=[*(f"pickle {version}" for version in range(6)), "copy", "deepcopy", "asdict"],
)
def test_a_secret_cannot_be_pickled_or_copied(leave):
    with pytest.raises(TypeError, match="cannot be pickled") as refused:
        leave(Secret("s3cr3t"))

    assert "s3cr3t" not in str(refused.value)


def test_a_secret_has_no_attributes_to_list():
    assert not hasattr(Secret("s3cr3t"), "__dict__")


def test_equal_secrets_are_equal_and_have_one_hash():
    assert Secret("é") == Secret("é")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize("other", [Secret("other"), Secret(""), "s3cr3t", b"s3cr3t", None])
def test_a_secret_equals_no_other_secret_and_no_bare_text(other):
    assert Secret("s3cr3t") != other


def test_secrets_with_surrogates_can_be_compared():
    text = b"s3cr3t\xff".decode("utf-8", "surrogateescape")

    assert Secret(text) == Secret(text)


def test_a_secret_is_shown_as_stars():
    secret = Secret("s3cr3t")

    assert (str(secret), repr(secret), f"{secret:>5}") == ("***", "Secret(***)", "  ***")


def test_a_secret_does_not_equal_its_text():
    is_equal = Secret("s3cr3t") == "s3cr3t"

    assert is_equal is False
