"""The tables of a run, in Markdown, and the page that holds them. No I/O."""

from collections.abc import Mapping, Sequence

from conformance.corpus import Item, Result
from conformance.httpbin_routes import PROMISED
from conformance.slow import Siege

BEGIN = "<!-- measured: made by tests/conformance/run.py -->"
END = "<!-- end of measured -->"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a bar within a cell is escaped."""
    lines = [list(heads), ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '&#124;') for c in line)} |" for line in lines)


def corpus_table(sent: Sequence[Item], results: Mapping[str, Result]) -> str:
    """How many items went how; a contender and a way of sending a column."""
    refusable = [item.name for item in sent if item.must_refuse]

    def row(text: str, *cells: int) -> list[str]:
        return [text, *map(str, cells)]

    def of(word: str, names: Sequence[str]) -> list[int]:
        return [sum(r.outcomes[name].word == word for name in names) for r in results.values()]

    others = [item.name for item in sent if not item.must_refuse]
    ways = results.values()
    rows = [
        row(f"to be refused ({len(refusable)}): answered 4xx", *of("refused", refusable)),
        row("… closed without an answer", *of("closed", refusable)),
        row("… **let through**", *of("passed", refusable)),
        row(f"a matter of taste ({len(others)}): let through", *of("passed", others)),
        row("… refused or closed", *_sums(of("refused", others), of("closed", others))),
        row("any: answered 5xx", *_sums(of("failed", refusable), of("failed", others))),
        row("any: hangs", *_sums(of("hangs", refusable), of("hangs", others))),
        row("requests upstream whose answer nobody got", *(r.unanswered for r in ways)),
    ]
    minded = sorted({offence for result in ways for offence in result.offences})
    rows += [row(f"upstream: {one}", *(r.offences.get(one, 0) for r in ways)) for one in minded]
    return markdown(["", *results], rows)


def _sums(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def difference_table(sent: Sequence[Item], results: Mapping[str, Result]) -> str:
    """The items to be refused that somebody lets through, and any on which somebody hangs."""
    rows = []
    for item in sent:
        words = [result.outcomes[item.name].word for result in results.values()]
        if (item.must_refuse and "passed" in words) or "hangs" in words:
            name = item.name.replace("`", "")
            rows.append([f"`{name}`", *words])
    return markdown(["let through, or hung on, by somebody", *results], rows)


def siege_table(sieges: Mapping[str, Mapping[str, Siege]]) -> str:
    """By mode, and by contender within it."""
    rows = [
        [
            mode,
            name,
            str(siege.held),
            "the end" if siege.until_s is None else f"{siege.until_s} s",
            "**no answer**" if siege.worst_ms is None else f"{siege.worst_ms:.0f} ms",
        ]
        for mode, by_name in sieges.items()
        for name, siege in by_name.items()
    ]
    heads = ["mode", "", "held at most", "the last held until", "worst answer to somebody else"]
    return markdown(heads, rows)


def httpbin_table(found: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """By request; what was promised is left out of our own column."""
    names = list(next(iter(found.values()), {}))
    rows = [
        [f"`{ask}`", *(_cell(by_name[name], name) for name in names)]
        for ask, by_name in found.items()
    ]
    return markdown(["", *names], rows)


def _cell(differences: Sequence[str], name: str) -> str:
    promised = PROMISED if name == "ovh-proxy" else set()
    shown = [one for one in differences if one not in promised]
    return "; ".join(shown) or "same"


def renewed(page: str, part: str) -> str:
    """The page with that part between the two marks, or at its end where there are none."""
    before, begin, rest = page.partition(BEGIN)
    after = rest.partition(END)[2].removeprefix("\n")
    block = f"{BEGIN}\n\n{part}\n\n{END}\n"
    return before + block + after if begin else f"{page}\n{block}"
