"""Tests that the GitHub workflows are valid, pinned, and have minimal permissions."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.tools import said_by, tool

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
JOBS = [
    (file.name, name, job)
    for file in WORKFLOWS
    for name, job in yaml.safe_load(file.read_text())["jobs"].items()
]
# The jobs that may write, with their permissions: a compromised step there would do damage.
MAY_WRITE = {
    "attest": {"id-token", "attestations"},
    "publish": {"id-token"},
    "image": {"packages", "id-token", "attestations"},
    "release": {"contents"},
}

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
each_job = pytest.mark.parametrize(
    ("file", "name", "job"), JOBS, ids=[f"{file} {name}" for file, name, _ in JOBS]
)


@each_workflow
def test_a_workflow_matches_the_schema(file: Path) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")

    result = said_by(tool("check-jsonschema"), *schema, file)

    assert result.returncode == 0, result.stdout


def test_the_dependabot_settings_match_the_schema() -> None:
    schema = ("--builtin-schema", "vendor.dependabot")

    result = said_by(tool("check-jsonschema"), *schema, GITHUB / "dependabot.yml")

    assert result.returncode == 0, result.stdout


def test_the_workflows_have_no_known_vulnerability() -> None:
    result = said_by(tool("zizmor"), "--offline", "--min-severity=medium", GITHUB)

    assert result.returncode == 0, result.stdout


@each_workflow
def test_an_action_is_pinned_to_a_commit_with_a_version_comment(file: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.+)", file.read_text())

    loose = [
        use for use in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[\d.]+", use)
    ]

    assert loose == []


@each_workflow
def test_a_workflow_has_no_default_permissions(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {}


@each_job
def test_a_job_only_has_the_write_permissions_that_it_needs(
    file: str, name: str, job: dict[str, Any]
) -> None:
    may = MAY_WRITE.get(name, set()) if file == "release.yml" else set()

    writes = {scope for scope, right in job["permissions"].items() if right != "read"}

    assert writes == may


@each_job
def test_a_job_has_a_timeout(file: str, name: str, job: dict[str, Any]) -> None:
    assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.parametrize("job", ["check", "package"])
def test_the_tests_run_on_every_supported_python(job: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [
        found[1] for line in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", line))
    ]
    ci = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())

    run = ci["jobs"][job]["strategy"]["matrix"]["python-version"]

    assert run == supported


def test_nothing_is_published_before_the_checks_pass() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows/release.yml").read_text())["jobs"]

    unchecked = [name for name in jobs if "check" not in _before(name, jobs)]

    assert unchecked == ["check"]


def _before(name: str, jobs: dict[str, Any]) -> set[str]:
    needs = jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(_before(need, jobs) for need in direct))
