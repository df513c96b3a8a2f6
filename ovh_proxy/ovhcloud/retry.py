"""When a failed attempt is worth another, and how long to wait."""

from dataclasses import dataclass

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Retries

_FIRST_WAIT_S = 0.1

_LONGEST_WAIT_S = 2.0

_LONGEST_STATED_WAIT_S = 30.0


def is_worth_another(
    failure: UpstreamFailed, is_safe: bool, attempt: int, retries: Retries
) -> bool:
    """Whether to try again.

    A call that may have arrived is sent twice only when it is safe (RFC 9110 section 9.2.2).

    Args:
        attempt: tries so far, the failed one included.
    """
    if attempt >= retries.attempts:
        return False
    return failure.nothing_arrived or (is_safe and failure.on_kept_connection)


def wait_before(attempt: int, jitter: float, failure: UpstreamFailed) -> float:
    """Seconds before the next attempt: none after a stale connection, else doubling with jitter.

    Args:
        jitter: random, from 0 to 1.
    """
    if failure.on_kept_connection:
        return 0.0
    longest = min(_FIRST_WAIT_S * 2.0 ** (attempt - 1), _LONGEST_WAIT_S)
    return longest * (0.5 + jitter / 2)


def stated_wait(retry_after: bytes | None, date: bytes | None = None) -> float | None:
    """Seconds that `Retry-After` asks for; one where it says nothing readable.

    None where it asks for more than half a minute: whoever called decides whether to wait so long,
    and to ask earlier than told would make things worse.

    Args:
        date: when the answer was made, by the same clock as a `Retry-After` that is a date.

    Source: RFC 9110 section 10.2.3.
    """
    if retry_after is not None and retry_after.isdigit():
        seconds = float(retry_after)
    else:
        seconds = _seconds_between(date, retry_after)
    return None if seconds > _LONGEST_STATED_WAIT_S else seconds


def _seconds_between(first: bytes | None, second: bytes | None) -> float:
    # Imported here: no start needs it, and few answers do.
    from email.utils import parsedate_to_datetime

    if first is None or second is None:
        return 1.0
    try:
        begin, end = (parsedate_to_datetime(one.decode("ascii")) for one in (first, second))
        return max((end - begin).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):  # no date, or two that cannot be compared
        return 1.0


@dataclass(slots=True)
class Attempts:
    """How often a call was tried; there for the log when the call fails as well.

    Attributes:
        is_out: the last of them has left: what it asks for may have happened.
    """

    count: int = 0
    is_out: bool = False

    def leave(self) -> None:
        """The call goes out now."""
        self.is_out = True
