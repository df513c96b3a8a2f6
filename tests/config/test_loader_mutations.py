"""A damaged file loads, or is rejected without a secret in the error."""

import tempfile
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ovh_proxy.config.loader import load_settings
from ovh_proxy.config.sources import Sources
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import ConfigurationError

SECRETS = ("k3yK3Y0a", "s3crS3C0b", "c0nsC0N0c", "t0keT0K0d")
STORE = f"""\
default: a
profiles:
  a:
    endpoint: ovh-eu
    application_key: {SECRETS[0]}
    application_secret: '{SECRETS[1]}'
    consumer_key: "{SECRETS[2]}"
    access_rules: [GET /me, "GET,PUT /me/*"]
  b: {{endpoint: ovh-ca, access_token: {SECRETS[3]}}}
"""
SETTINGS = f"""\
listen:
  - 127.0.0.1:8080
  - {{unix: /s, mode: "0600", profile: a}}
clients:
  - {{name: ci, token: {{env: TOKEN}}, profiles: [b]}}
limits: {{headers: 3}}
timeouts: {{idle_s: 2.5}}
upstream: {{proxy: null, ca_file: {SECRETS[0]}}}
"""
PIECES = (
    *(
        "\n",
        " ",
        "  ",
        "\t",
        "\0",
        "é",
        "\\",
        ":",
        ": ",
        "-",
        "- ",
        ",",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
    ),
    *("#", "&a ", "*a", "!", "!!str ", "|", ">", "?", "%", "@", "~", "yes", "<<: ", "---\n"),
)


@st.composite
def mutated(draw, text):
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        put = draw(st.one_of(st.sampled_from(["", *PIECES]), st.text(max_size=3)))
        text = text[:start] + put + text[end:]
    return text


@settings(deadline=None)
@given(mutated(STORE), mutated(SETTINGS))
@example(STORE.replace("consumer_key: ", "consumer_key:"), SETTINGS)
@example(STORE.replace("access_token: ", ""), SETTINGS)
@example(STORE.replace("endpoint: ovh-eu", f"endpoint: {SECRETS[1]}"), SETTINGS)
@example(STORE.replace("default: a", f"default: {SECRETS[1]}"), SETTINGS)
@example(STORE.replace(f"'{SECRETS[1]}'", f"{{env: {SECRETS[1]}}}"), SETTINGS)
@example(STORE.replace(f"'{SECRETS[1]}'", f"{{{SECRETS[1]}: env}}"), SETTINGS)
@example(STORE, SETTINGS.replace("{env: TOKEN}", SECRETS[3]))
@example(STORE, SETTINGS.replace("profile: a", f"profile: {SECRETS[3]}"))
@example(STORE, SETTINGS.replace("null", f"http://u:{SECRETS[3]}@h:1"))
def test_a_damaged_file_loads_or_is_rejected_without_a_secret_in_the_error(store, config):
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, text in (("c.yaml", store), ("s.yaml", config)):
            (root / name).write_text(text, encoding="utf-8", errors="surrogatepass")
            (root / name).chmod(0o600)
        sources = Sources(
            credentials="c.yaml", config="s.yaml", environ={"TOKEN": "T"}, cwd=root, home=root
        )
        error = error_of(sources)

    assert not [secret for secret in SECRETS if secret in error]


def error_of(sources: Sources) -> str:
    try:
        load_settings(sources)
    except ConfigurationError as failure:
        chained = (failure.__cause__, failure.__context__)
        return "\n".join(map(repr, (failure, failure.problems, *chained)))
    return ""


SAMPLES = st.text(st.sampled_from([*"ab:-[]{},&*!'\"#|>\n ? ~%", "\t", "é"]), max_size=60)


@settings(deadline=None)
@given(SAMPLES)
def test_both_parsers_read_the_same_or_reject_the_text(text):
    ours, _ = parse_yaml(text, "f")
    plain, _ = parse_yaml(text, "f", yaml.SafeLoader)

    assert ours is None or plain is None or ours.size == plain.size
