"""References to the system's keyring, with backends of the tests."""

import threading
from pathlib import Path

import pytest

from ovh_proxy.config.keyring import look_up
from ovh_proxy.config.secret_references import Reference, ResolveContext, resolve
from ovh_proxy.core.secret import Secret

ENTRY = ("ovh-proxy", "personal")


class FakeLocked(Exception):
    """An error of a backend; its text may contain anything."""


def resolved(lookup, arguments=ENTRY, limit_s=10.0):
    context = ResolveContext(
        environ={},
        home=Path("/"),
        directory=Path("/"),
        command_limit_s=limit_s,
        lookup=lookup,
    )
    return resolve(Reference("keyring", arguments), context)


def raising(failure):
    def lookup(service, user):
        raise failure

    return lookup


def test_a_reference_resolves_to_the_secret_of_its_entry():
    entries = {ENTRY: "Key"}

    assert resolved(lambda service, user: entries.get((service, user))) == Secret("Key")


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        (lambda service, user: None, "run: keyring set SERVICE USER"),
        (lambda service, user: "", "run: keyring set SERVICE USER"),
        (lambda service, user: "two words", "white space"),
        (raising(ImportError("S3CRET")), "run: pip install 'ovh-proxy[keyring]'"),
        (raising(FakeLocked("S3CRET")), r"cannot read the keyring \(FakeLocked\)"),
    ],
    ids=["no entry", "empty", "no key", "no library", "locked"],
)
def test_a_problem_of_the_keyring_says_what_to_do(lookup, message):
    with pytest.raises(
        ValueError, match=message.replace("[k", r"\[k").replace("g]", r"g\]")
    ) as caught:
        resolved(lookup)

    assert "S3CRET" not in str(caught.value)


def test_a_locked_keyring_times_out():
    unlocked = threading.Event()

    with pytest.raises(ValueError, match=r"did not respond within 0\.01 s; unlock"):
        resolved(lambda service, user: str(unlocked.wait()), limit_s=0.01)

    unlocked.set()


@pytest.mark.parametrize("arguments", [("one",), ("one", "two", "three")], ids=len)
def test_a_reference_needs_a_service_and_a_user(arguments):
    with pytest.raises(ValueError, match="needs a service and a user"):
        resolved(lambda service, user: "Key", arguments)


def test_without_the_library_the_extra_is_named(machine):
    try:
        look_up(*ENTRY)
    except ImportError:
        pass
    else:
        pytest.skip("keyring is installed here")
    store = machine.write(
        "c.yaml", "profiles: {a: {endpoint: ovh-eu, access_token: {keyring: [ovh-proxy, a]}}}\n"
    )

    problems = machine.problems(credentials=store)

    assert [problem.path for problem in problems] == ["profiles.a.access_token"]
    assert "ovh-proxy[keyring]" in problems[0].message
