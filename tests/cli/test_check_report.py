from datetime import UTC, datetime, timedelta

import pytest

from ovh_proxy.cli.terminal import relative_time

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12.9 * 86_400, "in 12 days"),
        (86_400, "in 1 day"),
        (86_399, "in 23 hours"),
        (3_600, "in 1 hour"),
        (120, "in 2 minutes"),
        (59, "in less than a minute"),
        (0, "in less than a minute"),
        (-30, "less than a minute ago"),
        (-7_200, "2 hours ago"),
        (-400 * 86_400, "400 days ago"),
    ],
)
def test_a_time_is_shown_relative_to_now(seconds: float, words: str) -> None:
    assert relative_time(NOW + timedelta(seconds=seconds), NOW) == words
