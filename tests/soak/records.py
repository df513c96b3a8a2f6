"""Compares, call by call, what the clients sent with what arrived upstream."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from soak.calls import Call, number_of
from support.proxy_server import Message

from ovh_proxy.sandbox.call import ReceivedRequest

# The error codes of calls that the proxy has not sent.
_NOTHING_SENT = frozenset(
    {
        "BAD_REQUEST",
        "CLOCK_UNKNOWN",
        "CREDENTIAL_REFUSED",
        "NO_CREDENTIAL",
        "OVERLOADED",
        "REQUEST_TIMEOUT",
        "UPSTREAM_UNREACHABLE",
    }
)


class Arrivals(list[ReceivedRequest]):
    """Replaces the sandbox's list of requests, which is limited. This one keeps all of them.

    Attributes:
        verdicts: the sandbox's verdicts on the requests of each call.
        unsigned: requests that arrived unsigned although they need a signature.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: defaultdict[int, list[str]] = defaultdict(list)
        self.unsigned: list[str] = []

    def append(self, received: ReceivedRequest) -> None:
        number = number_of(received.target)
        if number is not None:
            self.verdicts[number].append(received.verdict)
            if received.verdict == "unsigned":
                self.unsigned.append(f"call {number} came unsigned")


@dataclass
class ClientRecords:
    """The outcomes of all calls as seen by the clients.

    Attributes:
        outcomes: by call: `answered`, `not sent`, `failed`, `cut` or `left`.
        wrong: observations that should never happen.
        kinds: the number of observations by kind.
    """

    made: dict[int, Call] = field(default_factory=dict)
    outcomes: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def record(self, call: Call, outcome: str) -> None:
        """Records the outcome of a call."""
        self.outcomes[call.number] = outcome
        self.kinds[outcome] += 1

    def record_response(self, call: Call, answer: Message) -> None:
        """Records a complete response."""
        code = answer.code
        if code is not None:
            self.kinds[code] += 1
            self.record(call, "not sent" if code in _NOTHING_SENT else "failed")
            return
        self.record(call, "answered")
        self.kinds[str(answer.status)] += 1
        if answer.status == 200 and not _is_its_own(call, answer):
            self.wrong.append(
                f"{_named(call)}: the response belongs to another call, or is incomplete"
            )

    def disagreements(
        self, arrivals: Mapping[int, list[str]], logged: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """All disagreements; should be empty.

        Args:
            arrivals: the verdicts of the upstream, by call.
            logged: the request records of the proxy's log.
        """
        attempts: Counter[str] = Counter()
        for line in logged:
            attempts[str(line["request_id"])] += line["attempts"]
        found = [f"call {one}: no client made it" for one in arrivals if one not in self.made]
        for number, call in self.made.items():
            verdicts = arrivals.get(number, [])
            problem = self._problem(call, verdicts, attempts[str(number)])
            found += [f"{_named(call)}: {problem}; arrived as {verdicts}"] if problem else []
        return [*self.wrong, *found]

    def _problem(self, call: Call, verdicts: list[str], attempts: int) -> str | None:
        outcome = self.outcomes.get(call.number, "nothing")
        # A request that was rejected for its signature had no effect, and is sent again.
        accepted = [one for one in verdicts if not one.startswith("refused")]
        if outcome == "nothing":
            return "its client received no response"
        if not call.is_safe and len(accepted) > 1:
            return "arrived twice"
        if outcome == "answered" and not verdicts:
            return "answered, but did not arrive"
        if outcome == "not sent" and accepted:
            return "reported as not sent, but sent"
        if len(verdicts) > attempts:
            return f"arrived more often than the {attempts} attempts of the log"
        return None


def _named(call: Call) -> str:
    return f"call {call.number} ({call.method}, {call.behavior})"


def _is_its_own(call: Call, answer: Message) -> bool:
    if call.answer_bytes is not None:
        return len(answer.body) == call.answer_bytes
    return number_of(answer.json["target"].encode()) == call.number
