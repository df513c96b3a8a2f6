import configparser

import pytest

from ovh_proxy.config.sdk_config import Entry, read_conf, read_sdk_configuration, read_variables
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.secret import Secret


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("application_key=AK1", "AK1"),
        ("application_key = AK1", "AK1"),
        ("application_key: AK1", "AK1"),
        ("APPLICATION_KEY=AK1", "AK1"),
        ('application_key="AK1"', "AK1"),
        ("application_key='AK1'", "AK1"),
        ("application_key=AK1 ; of the robot", "AK1"),
        ("application_key=AK1\t# of the robot", "AK1"),
        ('application_key="AK1" # of the robot', "AK1"),
        ("application_key=AK1;2", "AK1;2"),
        ("application_key=%(x)s", "%(x)s"),
        ("application_key='", "'"),
    ],
)
def test_a_value_is_read_as_all_sdks_do(line, expected):
    ((section, entry),) = read_conf(f"; comment\n[ovh-eu]\n\n{line}\n", "~/.ovh.conf")

    assert section == "ovh-eu"
    assert entry == Entry("application_key", expected, "~/.ovh.conf", 4)


@pytest.mark.parametrize("line", ["application_key=", "application_key= ; none yet", "# a=b"])
def test_an_empty_value_is_ignored(line):
    assert list(read_conf(f"[ovh-eu]\n{line}\n", "f")) == []


def test_a_section_may_be_a_url():
    ((section, _),) = read_conf("[http://[::1]:8080/1.0]\naccess_token=AT1\n", "f")

    assert section == "http://[::1]:8080/1.0"


def test_no_section_is_special():
    sections = [section for section, _ in read_conf("[DEFAULT]\na=1\n[ovh-eu]\nb=2\n", "f")]

    assert sections == ["DEFAULT", "ovh-eu"]


def test_lines_are_right_with_comments_and_continuations():
    text = "[ovh-eu]\n# a=0\nb = 1\n  more\nA = 2\n[x]\na = 3\n"

    found = [(section, entry.key, entry.line) for section, entry in read_conf(text, "f")]

    assert found == [("ovh-eu", "b", 3), ("ovh-eu", "a", 5), ("x", "a", 7)]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[ovh-eu]\na=1\n[ovh-eu]\nb=S3CRET\n", 3, "duplicate section"),
        ("[ovh-eu]\na=1\na=S3CRET\n", 3, "duplicate key in this section"),
        ("a=S3CRET\n", 1, "no [section] above this line"),
        ("[ovh-eu]\n\nS3CRET\n", 3, "neither [section] nor key = value"),
    ],
    ids=["section", "key", "no section", "no value"],
)
def test_the_problem_of_a_malformed_file_has_its_line_and_none_of_its_text(
    machine, text, line, message
):
    machine.write("home/.ovh.conf", text)

    (problem,) = read_sdk_configuration(machine.sources()).problems

    assert (problem.source, problem.line) == ("~/.ovh.conf", line)
    assert message in problem.message
    assert "S3CRET" not in str(problem)


def test_every_malformed_line_is_a_problem(machine):
    machine.write("cwd/ovh.conf", "[ovh-eu]\none\ntwo\n")

    problems = read_sdk_configuration(machine.sources()).problems

    assert [(p.source, p.line) for p in problems] == [("./ovh.conf", 2), ("./ovh.conf", 3)]


def test_a_file_that_cannot_be_read_is_a_problem(machine):
    (machine.root / "etc" / "ovh.conf").mkdir(parents=True)

    (problem,) = read_sdk_configuration(machine.sources()).problems

    assert problem.source == str(machine.root / "etc" / "ovh.conf")
    assert "is a directory" in problem.message


def test_files_are_merged_by_key_in_order_of_precedence(machine):
    machine.write("etc/ovh.conf", "[ovh-eu]\na=etc\nb=etc\nc=etc\n")
    machine.write("home/.ovh.conf", "[ovh-eu]\na=home\nb=home\n")
    machine.write("cwd/ovh.conf", "[ovh-eu]\na=here\n[ovh-ca]\na=here\n")

    found = read_sdk_configuration(machine.sources())

    assert {key: entry.text for key, entry in found.sections["ovh-eu"].items()} == {
        "a": "here",
        "b": "home",
        "c": "etc",
    }
    assert found.sections["ovh-ca"]["a"].is_here
    assert not found.sections["ovh-eu"]["b"].is_here
    assert found.files == tuple(
        str(machine.root / name) for name in ("cwd/ovh.conf", "home/.ovh.conf", "etc/ovh.conf")
    )


def test_empty_and_other_variables_are_ignored():
    environ = {"OVH_ENDPOINT": "ovh-ca", "OVH_CONSUMER_KEY": "", "OVH_PROXY_CONFIG": "x"}

    assert read_variables(environ) == {"endpoint": Entry("endpoint", "ovh-ca", "OVH_*")}


def test_configparser_has_the_patterns_that_find_lines():
    assert configparser.RawConfigParser.SECTCRE.match("[a]")["header"] == "a"
    assert configparser.RawConfigParser.OPTCRE.match("a = b")["option"].strip() == "a"


def test_an_entry_does_not_show_its_text():
    assert "S3CRET" not in repr(Entry("consumer_key", "S3CRET", "f"))


def test_quotes_of_files_and_variables_are_removed_with_a_warning(machine):
    text = "[ovh-eu]\napplication_key='AK1'\nconsumer_key=CK1\n"
    machine.write("home/.ovh.conf", text)
    environ = {"OVH_APPLICATION_SECRET": '"AS1"'}

    loaded = machine.load(environ=environ).store

    credential = loaded.profiles["ovh-eu"].credential
    assert credential == ApplicationCredential(Secret("AK1"), Secret("AS1"), Secret("CK1"))
    in_file, in_variable = loaded.warnings
    assert in_file.startswith("~/.ovh.conf:2: application_key: the quotes")
    assert in_variable.startswith("environment variable OVH_APPLICATION_SECRET: the quotes")


@pytest.mark.parametrize("text", ["${OVH_S3CRET}", "<application S3CRET>", "a=S3CRET", '"S3CRET'])
def test_a_placeholder_in_a_variable_is_refused(machine, text):
    environ = {"OVH_APPLICATION_KEY": "AK1", "OVH_APPLICATION_SECRET": text}

    (problem,) = machine.problems(environ=environ)

    assert problem.path == "OVH_APPLICATION_SECRET"
    assert "S3CRET" not in str(problem)
