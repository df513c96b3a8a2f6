"""`ovh-proxy rules`: prints the smallest access rules that cover a recording."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from ovh_proxy.cli.options import option
from ovh_proxy.cli.terminal import yaml_list
from ovh_proxy.core.access_rules import METHODS, AccessRule
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.redaction import unknown
from ovh_proxy.ovhcloud.key_rules import KEY_METHODS, create_token_url, is_v2
from ovh_proxy.recording.calls import RecordedCall, generalise, smallest_rules
from ovh_proxy.recording.recording_file import SchemaFiles, read_recording


@click.command("rules")
@click.argument("file")
@option("--profile", "Print only the rules of this profile.", "rules", metavar="NAME")
@option(
    "--schema",
    "Directory with the API schema (me.json, domain/zone.json), to detect identifiers in paths.",
    metavar="DIR",
)
@option("--json", "Print JSON.", "rules", is_flag=True)
def command(file: str, profile: str | None, schema: str | None, json: bool) -> None:
    """Print the smallest access rules that cover recorded calls.

    FILE is a recording by `ovh-proxy run --record-rules FILE`. For each profile, prints the access
    rules for its entry in the credential store, and the URL that creates keys with these rights.
    """
    calls = _chosen(read_recording(file), file, profile)
    if schema is not None:
        calls = _generalised(calls, SchemaFiles(schema))
    groups = sorted({(call.profile, call.endpoint) for call in calls})
    reports = [_RuleReport.of(*group, calls) for group in groups]
    if json:
        click.echo(_as_json(reports))
    else:
        click.echo("\n\n".join("\n".join(_as_text(report)) for report in reports))


def _chosen(
    calls: Sequence[RecordedCall], file: str, profile: str | None
) -> Sequence[RecordedCall]:
    if not calls:
        raise CommandFailed(
            f"{file} has no calls yet; start ovh-proxy run --record-rules {file}, make the calls "
            "to allow, then run this command again"
        )
    chosen = [call for call in calls if profile in (None, call.profile)]
    if not chosen:
        names = sorted({call.profile for call in calls})
        raise UsageError(f"--profile: {unknown('profile', profile or '', names)}")
    return chosen


def _generalised(calls: Sequence[RecordedCall], schema: SchemaFiles) -> list[RecordedCall]:
    return [
        replace(call, path=generalise(call.path, schema.find(call.path)) or call.path)
        for call in calls
    ]


@dataclass(frozen=True, slots=True)
class _RuleReport:
    """The access rules that one profile needs at one endpoint.

    Attributes:
        url: the page that creates keys with these rights.
        not_in_keys: calls that rules of consumer keys cannot name.
        not_in_rules: calls that access rules cannot name without granting every method.
    """

    profile: str
    endpoint: str
    rules: tuple[AccessRule, ...]
    url: str | None
    not_in_keys: tuple[str, ...]
    not_in_rules: tuple[str, ...]

    @classmethod
    def of(cls, profile: str, endpoint: str, calls: Sequence[RecordedCall]) -> "_RuleReport":
        own = sorted(call for call in calls if (call.profile, call.endpoint) == (profile, endpoint))
        rules = smallest_rules(own)
        named = [call for call in own if call.method in METHODS]
        return cls(
            profile,
            endpoint,
            rules,
            create_token_url(endpoint, rules),
            tuple(str(c) for c in named if c.method not in KEY_METHODS or is_v2(c.path)),
            tuple(str(c) for c in own if c.method not in METHODS),
        )


def _as_text(report: _RuleReport) -> list[str]:
    lines = [f"# profile {report.profile} ({report.endpoint})"]
    if report.rules:
        lines += ["access_rules:", *yaml_list(map(str, report.rules), "  ")]
    if report.url is not None:
        lines += ["# Create keys with these rights at", f"# {report.url}"]
    if report.not_in_keys:
        lines += [
            "# Rules of consumer keys support only GET, POST, PUT and DELETE; OVHcloud does not",
            "# document how they name v2 calls. The page does not request rights for:",
            *(f"#   {call}" for call in report.not_in_keys),
        ]
    if report.not_in_rules:
        lines += [
            "# Access rules cannot name these methods; `* /path` grants them with all others:",
            *(f"#   {call}" for call in report.not_in_rules),
        ]
    return lines


def _as_json(reports: Sequence[_RuleReport]) -> str:
    return json.dumps(
        [
            {
                "profile": report.profile,
                "endpoint": report.endpoint,
                "access_rules": [str(rule) for rule in report.rules],
                "create_token_url": report.url,
                "not_in_keys": report.not_in_keys,
                "not_in_rules": report.not_in_rules,
            }
            for report in reports
        ],
        indent=2,
    )
