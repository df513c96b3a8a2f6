"""What GitHub runs: well-formed, pinned, with no more rights than each step needs."""

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
# A job that may write, and what: to whom a stolen step would be worth something.
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
def test_a_workflow_is_what_github_takes(file: Path) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")

    said = said_by(tool("check-jsonschema"), *schema, file)

    assert said.returncode == 0, said.stdout


def test_dependabot_takes_its_settings() -> None:
    schema = ("--builtin-schema", "vendor.dependabot")

    said = said_by(tool("check-jsonschema"), *schema, GITHUB / "dependabot.yml")

    assert said.returncode == 0, said.stdout


def test_the_workflows_have_no_known_weakness() -> None:
    said = said_by(tool("zizmor"), "--offline", "--min-severity=medium", GITHUB)

    assert said.returncode == 0, said.stdout


@each_workflow
def test_an_action_is_pinned_to_a_commit_whose_version_is_named(file: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.+)", file.read_text())

    loose = [
        use for use in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[\d.]+", use)
    ]

    assert loose == []


@each_workflow
def test_a_workflow_has_no_rights_of_its_own(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {}


@each_job
def test_a_job_writes_only_what_it_is_there_to_write(
    file: str, name: str, job: dict[str, Any]
) -> None:
    may = MAY_WRITE.get(name, set()) if file == "release.yml" else set()

    writes = {scope for scope, right in job["permissions"].items() if right != "read"}

    assert writes == may


@each_job
def test_a_job_ends(file: str, name: str, job: dict[str, Any]) -> None:
    assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.parametrize("job", ["check", "package"])
def test_the_tests_run_on_every_python_that_is_promised(job: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = [
        found[1] for line in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", line))
    ]
    ci = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())

    run = ci["jobs"][job]["strategy"]["matrix"]["python-version"]

    assert run == promised


def test_nothing_is_published_that_did_not_pass() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows/release.yml").read_text())["jobs"]

    unchecked = [name for name in jobs if "check" not in _before(name, jobs)]

    assert unchecked == ["check"]


def _before(name: str, jobs: dict[str, Any]) -> set[str]:
    needs = jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(_before(need, jobs) for need in direct))
