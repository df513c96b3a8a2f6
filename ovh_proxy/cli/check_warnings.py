"""What works today and is worth a word: soon over, refused by others, open to others."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ovh_proxy.cli.check_result import CheckResult
from ovh_proxy.cli.terminal import relative_time
from ovh_proxy.config.files import permission_problem
from ovh_proxy.ovhcloud.key_rules import wider_rules

# A clock this far off is worth a word; calls are signed by OVHcloud's clock all the same.
CLOCK_WARNING_S = 60.0
SOON_S = 7 * 86_400.0


def with_warnings(result: CheckResult, now: datetime, within_s: float | None) -> CheckResult:
    """A finding with what is worth a word.

    Args:
        within_s: a key that ends so soon is a failure; None: it is a warning within a week.
    """
    result = replace(result, warnings=tuple(_warnings(result)))
    expires = result.expires
    if result.problem or not isinstance(expires, datetime):
        return result
    if expires - now > timedelta(seconds=SOON_S if within_s is None else within_s):
        return result
    told = f"the consumer key ends {relative_time(expires, now)}"
    if within_s is None:
        return replace(result, warnings=(told, *result.warnings))
    remedy = "get a new one in time: ovh-proxy login --profile {profile}"
    return result.fails(result.state, told, remedy)


def _warnings(result: CheckResult) -> Iterator[str]:
    delta = result.clock_delta
    if delta is not None and abs(delta) > CLOCK_WARNING_S:
        yield "this machine's clock is wrong; calls are signed by OVHcloud's all the same"
    rules, of_key = result.profile.access_rules, result.key_rules
    wider = wider_rules(rules, of_key) if rules is not None and of_key is not None else ()
    if wider:
        more = f"; and {len(wider) - 3} more" if len(wider) > 3 else ""
        yield (
            f"the store grants what the key does not, and OVHcloud refuses: "
            f"{'; '.join(wider[:3])}{more}"
        )


def open_files(files: Iterable[str]) -> Iterator[str]:
    """Files of secrets that others may read, each with what mends it."""
    for name in files:
        try:
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:  # it is gone since it was read
            continue
        try:
            problem = permission_problem(descriptor, name)
        finally:
            os.close(descriptor)
        if problem:
            yield f"{name}: {problem.partition('  (or allow')[0]}"
