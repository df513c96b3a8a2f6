"""Profiles in the credential store."""

import pytest

from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.secret import Secret

KEYS = "application_key: AK1\n    application_secret: AS1\n    consumer_key: CK1"


def profile(*lines: str) -> str:
    """A store with one profile; the given lines start at line 3."""
    return "\n".join(["profiles:", "  prod:", *(f"    {line}" for line in lines), ""])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [KEYS],
            ApplicationCredential(Secret("AK1"), Secret("AS1"), Secret("CK1")),
            id="application keys",
        ),
        pytest.param(
            ["application_key: AK1", "application_secret: AS1"],
            ApplicationCredential(Secret("AK1"), Secret("AS1"), None),
            id="no consumer key yet",
        ),
        pytest.param(
            ["application_key: 1234567890123456", "application_secret: 1e10", "consumer_key: 0x1F"],
            ApplicationCredential(Secret("1234567890123456"), Secret("1e10"), Secret("0x1F")),
            id="keys that YAML takes for numbers",
        ),
        pytest.param(
            ["client_id: EU.0123", "client_secret: CS1"],
            ServiceAccount("EU.0123", Secret("CS1"), "https://www.ovh.com/auth/oauth2/token"),
            id="service account",
        ),
        pytest.param(["access_token: AT1"], AccessToken(Secret("AT1")), id="access token"),
        pytest.param(["access_token: &token AT1"], AccessToken(Secret("AT1")), id="an anchor"),
    ],
)
def test_every_kind_of_credential_is_read(machine, lines, expected):
    store = machine.write("credentials.yaml", profile("endpoint: ovh-eu", *lines))

    loaded = machine.load(credentials=store).store

    assert loaded.profiles["prod"].credential == expected
    assert loaded.default_profile == loaded.profiles["prod"]


def test_a_service_account_at_a_base_url_has_its_own_token_url(machine):
    text = profile(
        "endpoint: http://127.0.0.1:9000/1.0",
        "token_url: http://127.0.0.1:9000/token",
        "client_id: EU.0123",
        "client_secret: CS1",
    )

    loaded = machine.load(credentials=machine.write("c.yaml", text)).store.profiles["prod"]

    assert loaded.credential == ServiceAccount(
        "EU.0123", Secret("CS1"), "http://127.0.0.1:9000/token"
    )


def test_access_rules_and_the_default_are_read(machine):
    text = "default: b\n" + profile("endpoint: ovh-eu", KEYS, "access_rules: [read-only /me]")
    text += "  b: {endpoint: ovh-ca, access_token: AT1}\n"

    loaded = machine.load(credentials=machine.write("c.yaml", text)).store

    assert loaded.default == "b"
    assert [str(rule) for rule in loaded.profiles["prod"].access_rules] == ["GET /me", "GET /me/*"]
    assert loaded.profiles["b"].access_rules is None


def test_rules_of_a_base_url_without_a_version_may_start_with_any_path(machine):
    text = profile("endpoint: http://localhost:1/x", KEYS, "access_rules: [GET /1.0/me]")

    loaded = machine.load(credentials=machine.write("c.yaml", text)).store

    assert [str(rule) for rule in loaded.profiles["prod"].access_rules] == ["GET /1.0/me"]


EU = "endpoint: ovh-eu"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        pytest.param(
            profile(EU, KEYS, "acess_rules: []"),
            7,
            "profiles.prod.acess_rules",
            "unknown key 'acess_rules'; did you mean 'access_rules'?",
            id="unknown key",
        ),
        pytest.param(
            profile(EU, KEYS, "zzz: []"),
            7,
            "profiles.prod.zzz",
            "unknown key 'zzz'; use endpoint, application_key, ",
            id="far key",
        ),
        pytest.param(
            profile(EU, "consumer_key:S3CRET: x", KEYS),
            4,
            "profiles.prod",
            "put a space after the colon",
            id="a key that swallowed its value",
        ),
        pytest.param(
            profile(EU, KEYS, "consumer_key: CK2"),
            7,
            "profiles.prod.consumer_key",
            "duplicate key, first on line 6",
            id="duplicate key",
        ),
        pytest.param(
            profile(KEYS),
            3,
            "profiles.prod.endpoint",
            "missing key; OVHcloud API to call",
            id="missing",
        ),
        pytest.param(profile(EU), 3, "profiles.prod", "no credential; set ", id="no credential"),
        pytest.param(
            profile(EU, "consumer_key: CK1"),
            3,
            "profiles.prod.application_key",
            "missing key; consumer_key needs it",
            id="half a credential",
        ),
        pytest.param(
            profile(EU, KEYS, "client_id: EU.1"),
            7,
            "profiles.prod.client_id",
            "application_key and client_id exclude each other; keep ",
            id="mixed credentials",
        ),
        pytest.param(
            profile("endpoint: ovheu", KEYS),
            3,
            "profiles.prod.endpoint",
            "did you mean 'ovh-eu'?",
            id="unknown endpoint",
        ),
        pytest.param(
            profile("endpoint: http://eu.api.ovh.com/1.0", KEYS),
            3,
            "profiles.prod.endpoint",
            "use https://",
            id="a proof of identity in clear",
        ),
        pytest.param(
            profile("endpoint: [ovh-eu]", KEYS),
            3,
            "profiles.prod.endpoint",
            "expected text, got a list",
            id="a list for a text",
        ),
        pytest.param(
            profile("endpoint: {eu: 1}", KEYS),
            3,
            "profiles.prod.endpoint",
            "expected text, got a mapping",
            id="a mapping for a text",
        ),
        pytest.param(
            profile(EU, "access_token: null"),
            4,
            "profiles.prod.access_token",
            "empty value; set it",
            id="null for a key",
        ),
        pytest.param(
            profile(EU, 'access_token: ""'),
            4,
            "profiles.prod.access_token",
            "empty value; set it",
            id="an empty key",
        ),
        pytest.param(
            profile(EU, "access_token: yes"),
            4,
            "profiles.prod.access_token",
            "put it in quotes",
            id="a truth value for a key",
        ),
        pytest.param(
            profile(EU, 'access_token: "a b"'),
            4,
            "profiles.prod.access_token",
            "white space or a line break",
            id="a blank in a key",
        ),
        pytest.param(
            profile(EU, "access_token: |", "  ab", "  cd"),
            4,
            "profiles.prod.access_token",
            "white space or a line break",
            id="a line break in a key",
        ),
        pytest.param(
            profile(EU, "access_token: clé"),
            4,
            "profiles.prod.access_token",
            "a character that no key has",
            id="an accent in a key",
        ),
        pytest.param(
            profile(EU, 'access_token: "a\\x01b"'),
            4,
            "profiles.prod.access_token",
            "a character that no key has",
            id="a control character in a key",
        ),
        pytest.param(
            profile(EU, KEYS, "access_rules: [GET me]"),
            7,
            "profiles.prod.access_rules[0]",
            "path must start with /",
            id="a malformed rule",
        ),
        pytest.param(
            profile(EU, KEYS, "access_rules: [GET,POST /me]"),
            7,
            "profiles.prod.access_rules[0]",
            "quote commas",
            id="a comma without quotes",
        ),
        pytest.param(
            profile(EU, KEYS, "access_rules:", "  - GET /me", "  - GET /1.0/me"),
            9,
            "profiles.prod.access_rules[1]",
            "never matches; leave out ",
            id="a rule with a version",
        ),
        pytest.param(
            profile(EU, KEYS, 'access_rules: ["* /v1*"]'),
            7,
            "profiles.prod.access_rules[0]",
            "never matches; leave out ",
            id="a rule for all of a version",
        ),
        pytest.param(
            profile(EU, KEYS, "access_rules: []"),
            7,
            "profiles.prod.access_rules",
            "remove access_rules to allow all calls",
            id="no rules",
        ),
        pytest.param(
            profile(EU, KEYS, "access_rules: GET /me"),
            7,
            "profiles.prod.access_rules",
            "expected a list, got 'GET /me'",
            id="a rule for a list",
        ),
        pytest.param(
            profile("endpoint: kimsufi-eu", "client_id: x", "client_secret: y"),
            4,
            "profiles.prod.client_id",
            "kimsufi-eu has no service accounts",
            id="a service account at kimsufi",
        ),
        pytest.param(
            profile("endpoint: http://localhost:1", "client_id: x", "client_secret: y"),
            4,
            "profiles.prod.client_id",
            "needs token_url",
            id="a service account without token URL",
        ),
        pytest.param(
            profile("endpoint: https://ca.api.ovh.com/1.0", "client_id: x", "client_secret: y"),
            4,
            "profiles.prod.client_id",
            "endpoint: ovh-ca",
            id="a service account at a known base URL",
        ),
        pytest.param(
            profile(EU, "client_id: x", "client_secret: y", "token_url: https://x/t"),
            6,
            "profiles.prod.token_url",
            "remove it",
            id="a token URL at a named endpoint",
        ),
        pytest.param(
            profile("endpoint: http://localhost:1", KEYS, "token_url: https://x/t"),
            7,
            "profiles.prod.token_url",
            "for a service account",
            id="a token URL for application keys",
        ),
        pytest.param(
            profile(
                "endpoint: http://localhost:1", "client_id: x", "client_secret: y", "token_url: x"
            ),
            6,
            "profiles.prod.token_url",
            "must start with https://",
            id="a token URL that is none",
        ),
        pytest.param(
            "profiles:\n  a b: {endpoint: ovh-eu, access_token: AT1}\n",
            2,
            "profiles",
            "invalid profile name 'a b'",
            id="a profile's name",
        ),
        pytest.param(
            "profiles: {}\n",
            1,
            "profiles",
            "no profiles; `ovh-proxy login`",
            id="no profiles",
        ),
        pytest.param(
            "profiles:\n", 1, "profiles", "expected a mapping, got nothing", id="null profiles"
        ),
        pytest.param(
            "profiles: [a]\n", 1, "profiles", "expected a mapping, got a list", id="a list"
        ),
        pytest.param(
            "# nothing\n", 0, "profiles", "missing key; Profiles by name", id="nothing but comments"
        ),
        pytest.param(
            "default: a\n", 1, "profiles", "missing key; Profiles by name", id="no profiles at all"
        ),
        pytest.param("- a\n", 1, "", "expected a mapping, got a list", id="a list as a store"),
        pytest.param("text\n", 1, "", "expected a mapping, got 'text'", id="a text as a store"),
        pytest.param(
            "default: prot\n" + profile(EU, KEYS),
            1,
            "default",
            "unknown profile 'prot'; did you mean 'prod'?",
            id="an unknown default",
        ),
        pytest.param(
            profile(EU, KEYS).replace("prod:", "prod: x"),
            3,
            "",
            "invalid YAML",
            id="invalid YAML",
        ),
    ],
)
def test_a_problem_has_a_line_a_path_and_a_remedy(machine, text, line, path, message):
    store = machine.write("credentials.yaml", text)

    problems = machine.problems(credentials=store)

    assert {p.source for p in problems} == {store}
    assert (problems[0].line, problems[0].path) == (line, path)
    assert message in problems[0].message


def test_all_problems_are_reported_in_the_order_of_lines(machine):
    text = profile("endpoint: ovh-ue", "aplication_key: S3CRET", "consumer_key: [S3CRET]", "b: 1")
    text += "  b: {endpoint: ovh-eu, access_token: S3CRET, access_token: S3CRET}\nother: 1\n"

    problems = machine.problems(credentials=machine.write("credentials.yaml", text))

    assert [(p.line, p.path) for p in problems] == [
        (3, "profiles.prod.endpoint"),
        (3, "profiles.prod.application_key"),
        (3, "profiles.prod.application_secret"),
        (4, "profiles.prod.aplication_key"),
        (5, "profiles.prod.consumer_key"),
        (6, "profiles.prod.b"),
        (7, "profiles.b.access_token"),
        (8, "other"),
    ]
    assert "S3CRET" not in str(problems)


@pytest.mark.parametrize("way", ["text", "file", "env", "command"])
@pytest.mark.parametrize(
    "text", ["${OVH_S3CRET}", "<application S3CRET>", "name=S3CRET", "S3CRET$"]
)
def test_a_key_is_checked_in_every_way_that_it_can_come(machine, way, text):
    machine.write("key", text)
    value = {
        "text": f"'{text}'",
        "file": "{file: key}",
        "env": "{env: KEY}",
        "command": "{command: [cat, key]}",
    }[way]
    keys = ["application_key: AK1", f"application_secret: {value}"]
    store = machine.write("c.yaml", profile("endpoint: ovh-eu", *keys))

    (problem,) = machine.problems(credentials=store, environ={"KEY": text, "PATH": "/usr/bin:/bin"})

    assert (problem.line, problem.path) == (5, "profiles.prod.application_secret")
    assert "S3CRET" not in str(problem)


def test_a_variable_in_quotes_is_used_without_them_and_noted(machine):
    store = machine.write("c.yaml", profile("endpoint: ovh-eu", "access_token: {env: TOKEN}"))

    loaded = machine.load(credentials=store, environ={"TOKEN": "'AT1'"}).store

    assert loaded.profiles["prod"].credential == AccessToken(Secret("AT1"))
    (warning,) = loaded.warnings
    assert warning.startswith("environment variable TOKEN: the quotes")
