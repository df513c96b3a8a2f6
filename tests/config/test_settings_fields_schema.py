"""The JSON schemas in config/."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from ovh_proxy.config.settings_fields import SCHEMAS, schema_text, write_schemas

CONFIG = Path(__file__).parents[2] / "config"
STORE, SETTINGS = SCHEMAS


def errors(name: str, text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text(name)))
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_schemas_in_config_are_up_to_date(tmp_path):
    write_schemas(tmp_path)

    for name in SCHEMAS:
        hint = "update it: write_schemas(Path('config'))"
        assert (CONFIG / name).read_bytes() == (tmp_path / name).read_bytes(), hint


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_valid_and_describes_every_key(name):
    schema = json.loads(schema_text(name))

    jsonschema.Draft202012Validator.check_schema(schema)

    def undescribed(part, path=""):
        if isinstance(part, dict):
            for key, value in part.get("properties", {}).items():
                if not value.get("description"):
                    yield f"{path}.{key}"
            for key, value in part.items():
                yield from undescribed(value, f"{path}.{key}")

    assert list(undescribed(schema)) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_example_matches_its_schema_and_names_it(name):
    text = (CONFIG / name.replace(".schema.json", ".example.yaml")).read_text(encoding="utf-8")

    assert errors(name, text) == []
    assert text.startswith(f"# yaml-language-server: $schema={name}\n")


@pytest.mark.parametrize(
    "text",
    [
        "profiles: {a: {endpoint: ovh-eu, access_token: 1234567890123456}}",
        "profiles: {a: {endpoint: 'https://x/1.0', access_token: {env: A}}}",
        "profiles: {a: {endpoint: ovh-eu, application_key: a, application_secret: b}}",
    ],
)
def test_valid_stores_match_the_schema(text):
    assert errors(STORE, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "profiles: {}",
        "profile: {}",
        "profiles: {a b: {endpoint: ovh-eu, access_token: A}}",
        "profiles: {a: {access_token: A}}",
        "profiles: {a: {endpoint: ovh-ue, access_token: A}}",
        "profiles: {a: {endpoint: ovh-eu}}",
        "profiles: {a: {endpoint: ovh-eu, acess_token: A}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: null}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: ''}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: 'a b'}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: {evn: A}}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: {env: A, file: b}}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: {command: ls}}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: A, client_id: a, client_secret: b}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: A, access_rules: []}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: A, access_rules: [GET me]}}",
        "profiles: {a: {endpoint: ovh-eu, access_token: A, access_rules: [FETCH /me]}}",
    ],
)
def test_invalid_stores_do_not_match_the_schema(text):
    assert errors(STORE, text)


@pytest.mark.parametrize(
    "text",
    [
        "listn: []",
        "listen: []",
        "listen: [{}]",
        "listen: [{unix: /s, tcp: 'a:1'}]",
        "listen: [{unix: /s, prfile: a}]",
        "listen: [{fd: 3, tls: full}]",
        "listen: [{fd: 3, tls: {cert: a}}]",
        "listen: [{fd: 3, uids: []}]",
        "hosts: a",
        "origins: ['*']",
        "clients: [{name: a}]",
        "clients: [{name: a, token: clear}]",
        "clients: [{name: a, token: {sha256: abc}}]",
        "clients: [{name: a b, token: {env: A}}]",
        "limits: {headers: 0}",
        "limits: {headers: '1'}",
        "timeouts: {idle_s: 0}",
        "timeouts: {drain_delay_s: -1}",
        "retries: {attempts: 11}",
        "retries: {on_status: [200]}",
        "upstream: {proxy: 'https://x:1'}",
        "intercept: maybe",
        "intercept_others: pass",
        "workers: 0",
        "log: {level: inf}",
    ],
)
def test_invalid_settings_do_not_match_the_schema(text):
    assert errors(SETTINGS, text)
