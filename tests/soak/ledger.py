"""Who asked for what, what arrived, and whether the two agree, call by call."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.conftest import Message
from soak.calls import Call, number_of

from ovh_proxy.sandbox.received import ReceivedRequest

# What the proxy says of a call that it has not sent.
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
    """Stands in the place of the sandbox's record, which forgets; this one counts.

    Attributes:
        verdicts: what was said of the arrivals of each call.
        strangers: what came unsigned although it is no question that asks for no proof.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: defaultdict[int, list[str]] = defaultdict(list)
        self.strangers: list[str] = []

    def append(self, received: ReceivedRequest) -> None:
        number = number_of(received.target)
        if number is not None:
            self.verdicts[number].append(received.verdict)
            if received.verdict == "unsigned":
                self.strangers.append(f"call {number} came unsigned")


@dataclass
class Ledger:
    """The clients' side.

    Attributes:
        outcomes: of each call: `answered`, `not sent`, `failed`, `cut` or `left`.
        wrong: what should never have been seen.
        kinds: how often what was seen.
    """

    made: dict[int, Call] = field(default_factory=dict)
    outcomes: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def note(self, call: Call, outcome: str) -> None:
        """What became of a call that got no whole answer."""
        self.outcomes[call.number] = outcome
        self.kinds[outcome] += 1

    def answer(self, call: Call, answer: Message) -> None:
        """A whole answer has come."""
        code = answer.code
        if code is not None:
            self.kinds[code] += 1
            self.note(call, "not sent" if code in _NOTHING_SENT else "failed")
            return
        self.note(call, "answered")
        self.kinds[str(answer.status)] += 1
        if answer.status == 200 and not _is_its_own(call, answer):
            self.wrong.append(f"{_named(call)}: this answer is not its own, or not whole")

    def disagreements(
        self, arrivals: Mapping[int, list[str]], logged: Iterable[Mapping[str, Any]]
    ) -> list[str]:
        """Whatever does not agree; empty is what we want.

        Args:
            arrivals: verdicts of the upstream, by call.
            logged: the proxy's own records of requests.
        """
        attempts: Counter[str] = Counter()
        for record in logged:
            attempts[str(record["request_id"])] += record["attempts"]
        found = [f"call {one}: nobody made it" for one in arrivals if one not in self.made]
        for number, call in self.made.items():
            verdicts = arrivals.get(number, [])
            problem = self._problem(call, verdicts, attempts[str(number)])
            found += [f"{_named(call)}: {problem}; arrived as {verdicts}"] if problem else []
        return [*self.wrong, *found]

    def _problem(self, call: Call, verdicts: list[str], attempts: int) -> str | None:
        outcome = self.outcomes.get(call.number, "nothing")
        # What was refused for its proof has not happened: it is sent again with a new one.
        accepted = [one for one in verdicts if not one.startswith("refused")]
        if outcome == "nothing":
            return "its client has heard nothing"
        if not call.is_safe and len(accepted) > 1:
            return "doubled"
        if outcome == "answered" and not verdicts:
            return "answered without having arrived"
        if outcome == "not sent" and accepted:
            return "told as not sent, and sent"
        if len(verdicts) > attempts:
            return f"arrived more often than the {attempts} attempts of the log"
        return None


def _named(call: Call) -> str:
    return f"call {call.number} ({call.method}, {call.manner})"


def _is_its_own(call: Call, answer: Message) -> bool:
    if call.answer_bytes is not None:
        return len(answer.body) == call.answer_bytes
    return number_of(answer.json["target"].encode()) == call.number
