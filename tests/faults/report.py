"""The page of a record: what was hit how often, what was wrong, in which pieces, on which machine and versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.faults.kinds import CELLS, Fault
from tests.faults.record import FIRST_STRIKE, Chunk, Run, total
from topology.engine.transaction import Step

_HEAD = """# Faults

What the engine promises is tried here on a real broker and a real Redis with real worker processes: a seeded workload of enforcements, appeals, reviews and acks, and one or two faults a run.
Each fault is done while a worker is held right before a numbered step of a batch ([architecture.md](architecture.md)), so it falls between two steps and not somewhere near.
Then comes calm, in which everything must converge, and checkers that know nothing of the engine look at the topics and at Redis.

```sh
make faults RUNS=1000            # seeds 1 to 1000
make faults SEED=7 RUNS=1        # one run again
make faults RUNS=1000 RECORD=faults.jsonl FAULTS_ARGS='--minutes 8'    # a piece of it; the same again goes on
make faults RUNS=0 RECORD=faults.jsonl REPORT=docs/faults.md           # this page
```

As many seeds in a row as the table has cells reach each cell once at least; a second fault follows in two runs of five.
When a worker has nothing left to fold before it comes to its step, it is sent more.
A run in which a fault did not happen all the same counts as not hit, never as passed.
Runs are done in lanes beside each other, each with a broker, a Redis and workers of its own, as most of a run is waiting.

What must hold afterwards:

- every input has its one effect: lost and doubled are told apart, by the lines of the audit and by the dossiers' own counts
- the chain of each user's audit is unbroken, computed again from the lines alone
- Redis is the fold of the changelog, key for key, with its timers and its checkpoint, and no transaction is open
- enforcement systems that obeyed every order are as if what was overturned had never been, by a computation that looks at no order
- no case is stuck: each open one stands on one pod and has a timer, and no timer is overdue
- by the stream clock, every record published and every dossier is byte for byte that of a calm run in memory

The broker's disk is made slow without privileges: the kernel hands the broker's `fsync` calls to the campaign (`seccomp_unotify(2)`), which holds them, while the broker is set to flush every write.
"""

BY_HAND = "## What campaigns have found"
"""This heading of the page and what follows is written by people, and kept."""
Record = Sequence[tuple[Chunk, Sequence[Run]]]


def report(record: Record, before: str = "") -> str:
    """The page. A seed counts as what it was the first time; that it was run again is said beside it.

    Args:
        record: each call of the command with its runs.
        before: the page as it was.
    """
    first, again = _split(record)
    runs = [run for _, run in first]
    hits = Counter((one.fault, one.step) for run in runs for one in run.struck if one.happened)
    missed = [(run, one) for run in runs for one in run.struck if not one.happened]
    parts = [_HEAD, "## The newest record", "\n".join(_facts(record, runs, hits, len(missed)))]
    parts += ["Faults that happened, by the step that they came before:", "\n".join(_table(hits))]
    parts += ["In which pieces:", "\n".join(_pieces(record, first))]
    wrong_again = {run.seed for _, run in again if run.wrong}
    told = [_failure(chunk, run, again) for chunk, run in first if run.wrong or run.seed in wrong_again]
    if told:
        parts += ["What was wrong, and what became of it when the seed was run again:", "\n".join(told)]
    if missed:
        parts += ["Not hit:", "\n".join(f"- seed {run.seed}: {one.what}: {one.text}" for run, one in missed)]
    parts.append("\n".join(_where(record)))
    if BY_HAND in before:
        parts.append(before[before.index(BY_HAND) :])
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _split(record: Record) -> tuple[list[tuple[Chunk, Run]], list[tuple[Chunk, Run]]]:
    """The first run of each seed, by seed, and all others."""
    first: dict[int, tuple[Chunk, Run]] = {}
    again: list[tuple[Chunk, Run]] = []
    for chunk, runs in record:
        for run in runs:
            if run.seed in first:
                again.append((chunk, run))
            else:
                first[run.seed] = chunk, run
    return [first[seed] for seed in sorted(first)], again


def _facts(record: Record, runs: Sequence[Run], hits: Counter[tuple[str, str]], missed: int) -> Iterable[str]:
    failed = sum(bool(run.wrong) for run in runs)
    passed = sum(run.passed for run in runs)
    yield (
        f"- {len(runs)} runs, seeds {_ranges([run.seed for run in runs])}: {passed} passed, {failed} failed,"
        f" {len(runs) - passed - failed} with a fault that did not happen."
    )
    least = min((hits[fault.name, step.name] for fault, step in CELLS), default=0)
    empty = sum(not hits[fault.name, step.name] for fault, step in CELLS)
    reached = f"each was hit, the rarest {least} time{'s' * (least > 1)}" if not empty else f"{empty} were never hit"
    yield f"- {hits.total()} faults happened, {missed} did not. Of the {len(CELLS)} cells below {reached}."
    wrong = [one for run in runs for one in run.wrong]
    lost, doubled = sum(one.lost for one in wrong), sum(one.doubled for one in wrong)
    yield f"- Lost: {lost}. Doubled: {doubled}. Otherwise wrong: {len(wrong) - lost - doubled}."
    ended = ", ".join(f"{n} with {code}" for code, n in total(run.restarts for run in runs).items()) or "none"
    yield f"- Workers that ended by themselves and were started again, by exit code: {ended}."
    hung = sum(run.hung for run in runs)
    yield f"- Of these because a call of the client library did not end within its time-out (librdkafka #5511): {hung}."
    twice = sum(run.sent_twice for run in runs)
    yield f"- Records that the campaign's own producer left twice in an input, across a broker's end: {twice}."
    skipped = sum(len(run.skipped) for run in runs)
    yield f"- Records that a worker's client had passed over and that were read again: {skipped}."
    seconds = sum(run.seconds for run in runs) / max(1, len(runs))
    waits = [(name, took) for name, took in _mean(run.parts for run in runs).most_common(6) if name != FIRST_STRIKE][:4]
    cpu = _mean(run.cpu for run in runs if run.cpu).most_common()
    yield f"- {seconds:.1f} s a run in its lane: {', '.join(f'{name} {took:.1f}' for name, took in waits)}."
    yield f"- CPU seconds a run: {', '.join(f'{who} {took:.1f}' for who, took in cpu)}."


def _mean(each: Iterable[dict[str, float]]) -> Counter[str]:
    """Seconds by name, as the mean of all."""
    summed, count = Counter[str](), 0
    for one in each:
        summed.update(one)  # type: ignore[arg-type]
        count += 1
    return Counter({name: took / count for name, took in summed.items()})  # type: ignore[arg-type]


def _table(hits: Counter[tuple[str, str]]) -> Iterable[str]:
    steps = list(Step)
    yield f"| fault | {' | '.join(f'{s.value} {s.name.lower()}' for s in steps)} | all |"
    yield f"| --- |{' --- |' * (len(steps) + 1)}"
    for fault in Fault:
        counts = [hits[fault.name, step.name] for step in steps]
        yield f"| {fault.value} | {' | '.join(map(str, counts))} | {sum(counts)} |"
    totals = [sum(hits[fault.name, step.name] for fault in Fault) for step in steps]
    yield f"| all | {' | '.join(map(str, totals))} | {sum(totals)} |"


def _pieces(record: Record, first: Sequence[tuple[Chunk, Run]]) -> Iterable[str]:
    """By commit: how many calls, runs, failures."""
    yield "| commit | calls | lanes | runs | passed | failed | not hit |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    counted: dict[str, list[tuple[Chunk, Run]]] = {}
    for chunk, run in first:
        counted.setdefault(_commit(chunk), []).append((chunk, run))
    for commit in dict.fromkeys(_commit(chunk) for chunk, _ in record):
        here = counted.get(commit)
        if not here:
            continue
        calls, runs = {chunk.at for chunk, _ in here}, [run for _, run in here]
        lanes = "/".join(map(str, sorted({chunk.lanes for chunk, _ in here})))
        failed, passed = sum(bool(run.wrong) for run in runs), sum(run.passed for run in runs)
        yield (
            f"| {commit} | {len(calls)} | {lanes} | {len(runs)} | {passed} | {failed} | {len(runs) - passed - failed} |"
        )


def _failure(chunk: Chunk, run: Run, again: Sequence[tuple[Chunk, Run]]) -> str:
    later = [(chunk, other) for chunk, other in again if other.seed == run.seed]
    became = "; ".join(f"again at {_commit(c)}: {_verdict(other)}" for c, other in later) or "not run again"
    return f"- seed {run.seed} at {_commit(chunk)}, {'; '.join(one.what for one in run.struck)}: {_verdict(run)}. {became}."


def _verdict(run: Run) -> str:
    kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(one.kind for one in run.wrong).items())
    return kinds or ("passed" if run.passed else "not hit")


def _commit(chunk: Chunk) -> str:
    return f"{chunk.commit}{' with changes' if chunk.altered else ''}"


def _where(record: Record) -> Iterable[str]:
    """Machines and versions, one line each."""
    days = sorted({chunk.at[:10] for chunk, _ in record})
    for machine, versions in dict.fromkeys((chunk.machine, chunk.versions) for chunk, _ in record):
        yield f"{days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}, {machine}, shared with other work; {versions}."


def _ranges(seeds: Sequence[int]) -> str:
    """`1 to 80, 100`."""
    found: list[list[int]] = []
    for seed in sorted(seeds):
        if found and seed == found[-1][-1] + 1:
            found[-1][1:] = [seed]
        else:
            found.append([seed])
    return ", ".join(" to ".join(map(str, one)) for one in found)
