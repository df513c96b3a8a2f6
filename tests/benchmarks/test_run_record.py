from pathlib import Path

import pytest
from benchmarks.errors import CannotMeasureError
from benchmarks.figures import Figures
from benchmarks.run_record import RunRecord, read

RECORD = RunRecord(
    {"Python": "3.11"},
    {"rounds": "5"},
    ["slow tls of naive: it ended"],
    Figures({"direct": {}, "us": {"rate": [1.5, 2.0], "p99_ms": [3.0]}}),
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(RECORD.text())

    assert read([file]) == RECORD


def test_each_of_several_runs_adds_its_scenes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(RECORD.text())
    second.write_text(RunRecord(figures=Figures({"us": {"rate": [9.0]}})).text())

    whole = read([first, second])

    assert whole.figures.raw["us"] == {"rate": [9.0], "p99_ms": [3.0]}


@pytest.mark.parametrize(
    "text", [None, "", "[]", '{"figures": {}}', '{"figures": {"us": []}}', '{"figures": {"us": 1}}']
)
def test_a_file_that_is_not_a_record_is_reported(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "other.json"
    if text is not None:
        file.write_text(text)

    with pytest.raises(CannotMeasureError, match=r"other\.json is not a record of a run"):
        read([file])


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (CannotMeasureError("it ended\n/a/path in its log"), "up of us: it ended"),
        (FileNotFoundError(2, "No such file", "/a/path"), "up of us: FileNotFoundError"),
    ],
    ids=["own error", "other error"],
)
def test_a_failure_is_recorded_without_paths(failure: Exception, text: str) -> None:
    record = RunRecord()

    record.fail("up of us", failure)

    assert record.failed == [text]
