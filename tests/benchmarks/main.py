"""One run of the benchmark: measures what the options select, and reports it."""

import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import nginx, options
from benchmarks.bench import Bench
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.document import check, write
from benchmarks.errors import CannotMeasureError
from benchmarks.machine import describe
from benchmarks.options import Options
from benchmarks.report import report
from benchmarks.rounds import measure_scene, say
from benchmarks.run_record import RunRecord, read
from benchmarks.scenes import SCENES
from benchmarks.upstream import upstream

# The load average of an idle machine, a minute after the last command.
QUIET_LOAD = 0.7


def cores(asked: Options) -> tuple[int, int]:
    """The core of the contender, and the core of the load generator and the upstream."""
    if not hasattr(os, "sched_getaffinity"):
        raise CannotMeasureError("the benchmark needs Linux, because it pins processes to cores")
    there = sorted(os.sched_getaffinity(0))
    proxy = there[-1] if asked.proxy_core is None else asked.proxy_core
    load = there[0] if asked.load_core is None else asked.load_core
    if not {proxy, load} <= set(there):
        raise CannotMeasureError(
            f"this process can only use the cores {', '.join(map(str, there))}"
        )
    if proxy == load:
        say("only one core: contender, load and upstream share it, so only ratios are meaningful")
    return proxy, load


def warn_if_busy() -> None:
    """Warns if the machine has other load, which distorts the figures."""
    busy = os.getloadavg()[0]
    if busy > QUIET_LOAD:
        say(f"this machine is busy (load average {busy:.1f}), so the figures will be unreliable")


def able(asked: Options, bench: Bench) -> list[Contender]:
    """The contenders that can run here. Prints what the others need."""
    chosen = [CONTENDERS[name] for name in asked.contenders]
    for contender in chosen:
        if missing := contender.missing(bench):
            say(f"skipping {contender.name}: {missing}")
    return [contender for contender in chosen if not contender.missing(bench)]


def measure(asked: Options, record: RunRecord) -> None:
    """Measures all scenes, and adds each figure to the record immediately."""
    if nginx.program() is None:
        raise CannotMeasureError(nginx.INSTALL)
    proxy_core, load_core = cores(asked)
    warn_if_busy()
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="ovh-proxy-bench-")))
        serving = held.enter_context(upstream(load_core, home / "upstream"))
        bench = Bench(
            home=home,
            proxy_core=proxy_core,
            load_core=load_core,
            upstream=serving,
            seconds=asked.seconds,
            connections=asked.connections,
            aws_sigv4_proxy=asked.aws_sigv4_proxy,
            mitmdump=asked.mitmdump,
            against=asked.against,
            settings=asked.settings,
        )
        contenders = able(asked, bench)
        record.machine = describe(bench, [contender.name for contender in contenders])
        for name in asked.scenes:
            measure_scene(SCENES[name], contenders, bench, asked.rounds, record)


def measured(asked: Options) -> RunRecord:
    """The results to report: measured now, or read from files."""
    if asked.from_json:
        return read(asked.from_json)
    record = RunRecord(asked=asked.in_words)
    try:
        measure(asked, record)
    except KeyboardInterrupt:
        say("interrupted; these are the results so far")
        record.failed.append("the rest: interrupted")
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    asked = options.parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if asked.write is not None:
            check(asked.write)
        record = measured(asked)
        print(report(record.figures, is_whole=False))
        if asked.write is not None:
            for path in write(asked.write, record):
                say(f"written: {path}")
    except CannotMeasureError as failure:
        say(f"run.py: {failure}")
        return 1
    for line in record.failed:
        say(f"not measured: {line}")
    return 1 if record.failed else 0
