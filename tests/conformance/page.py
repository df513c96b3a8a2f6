"""The tables of a run, in Markdown, and the page that holds them. No I/O."""

from collections.abc import Mapping, Sequence

from conformance.corpus import Item, Result
from conformance.httpbin_routes import DOCUMENTED
from conformance.slow import SlowAttack

BEGIN = "<!-- measured: made by tests/conformance/run.py -->"
END = "<!-- end of measured -->"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table. A `|` in a cell is escaped."""
    lines = [list(heads), ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '&#124;') for c in line)} |" for line in lines)


def corpus_table(sent: Sequence[Item], results: Mapping[str, Result]) -> str:
    """The number of items per outcome; one column per contender and way of sending."""
    refusable = [item.name for item in sent if item.must_refuse]

    def row(text: str, *cells: int) -> list[str]:
        return [text, *map(str, cells)]

    def of(word: str, names: Sequence[str]) -> list[int]:
        return [sum(r.outcomes[name].word == word for name in names) for r in results.values()]

    others = [item.name for item in sent if not item.must_refuse]
    ways = results.values()
    rows = [
        row(f"must be rejected ({len(refusable)}): answered 4xx", *of("rejected", refusable)),
        row("… closed without a response", *of("closed", refusable)),
        row("… **forwarded**", *of("forwarded", refusable)),
        row(f"may be forwarded ({len(others)}): forwarded", *of("forwarded", others)),
        row("… rejected or closed", *_sums(of("rejected", others), of("closed", others))),
        row("any: answered 5xx", *_sums(of("failed", refusable), of("failed", others))),
        row("any: hangs", *_sums(of("hangs", refusable), of("hangs", others))),
        row("upstream requests whose response reached no client", *(r.unanswered for r in ways)),
    ]
    minded = sorted({offence for result in ways for offence in result.offences})
    rows += [row(f"upstream: {one}", *(r.offences.get(one, 0) for r in ways)) for one in minded]
    return markdown(["", *results], rows)


def _sums(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def difference_table(sent: Sequence[Item], results: Mapping[str, Result]) -> str:
    """The items that must be rejected but are forwarded by a contender, and all that hang."""
    rows = []
    for item in sent:
        words = [result.outcomes[item.name].word for result in results.values()]
        if (item.must_refuse and "forwarded" in words) or "hangs" in words:
            name = item.name.replace("`", "")
            rows.append([f"`{name}`", *words])
    return markdown(["forwarded by at least one proxy, or hangs", *results], rows)


def slow_table(attacks: Mapping[str, Mapping[str, SlowAttack]]) -> str:
    """The results by mode and contender."""
    rows = [
        [
            mode,
            name,
            str(attack.held),
            "still open" if attack.until_s is None else f"{attack.until_s} s",
            "**no response**" if attack.worst_ms is None else f"{attack.worst_ms:.0f} ms",
        ]
        for mode, by_name in attacks.items()
        for name, attack in by_name.items()
    ]
    heads = [
        "mode",
        "",
        "most connections open",
        "all closed after",
        "slowest response to another client",
    ]
    return markdown(heads, rows)


def httpbin_table(found: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The differences by request. Documented changes are omitted from the column of ovh-proxy."""
    names = list(next(iter(found.values()), {}))
    rows = [
        [f"`{request}`", *(_cell(by_name[name], name) for name in names)]
        for request, by_name in found.items()
    ]
    return markdown(["", *names], rows)


def _cell(differences: Sequence[str], name: str) -> str:
    documented = DOCUMENTED if name == "ovh-proxy" else set()
    shown = [one for one in differences if one not in documented]
    return "; ".join(shown) or "same"


def renewed(page: str, part: str) -> str:
    """The page with the part between the two markers, or appended if there are none."""
    before, begin, rest = page.partition(BEGIN)
    after = rest.partition(END)[2].removeprefix("\n")
    block = f"{BEGIN}\n\n{part}\n\n{END}\n"
    return before + block + after if begin else f"{page}\n{block}"
