import sys
from collections.abc import Callable

import pytest
from support.adversarial import cases

SMALL, LARGE = 2_000, 16_000
CASES = cases()


def steps(work: Callable[[], object]) -> int:
    """How many instructions of the interpreter it takes; what C does in one of them is not seen."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", CASES)
def test_a_head_costs_no_more_than_its_bytes(name):
    small, large = steps(CASES[name](SMALL)), steps(CASES[name](LARGE))

    # Linear, with a share that does not depend on the size.
    assert large <= small * LARGE / SMALL * 1.5 + 2_000
    assert large <= 40 * LARGE
