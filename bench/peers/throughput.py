"""One contender after the other over records that were loaded before, in an order that turns from round to round."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench import workload
from bench.peers.observer import Figures, StalledError, Tree, Visible, figures, watch
from bench.peers.process import working
from bench.peers.registry import Contender, Run, clients
from bench.peers.truth import Truth
from topology.embedded import Services

FEW = 10
"""What share of the events the slow ones are given: one in so many."""
EVENTS_A_USER = 10


def measure_round(services: Services, contenders: Sequence[Contender], events: int, number: int) -> dict[str, Figures]:
    """Load fresh topics, run and verify each contender.

    Raises:
        StalledError: one does not get to the end.
        WrongResultError: one did not do the work.
    """
    groups = {
        slow: _load(services, [c for c in contenders if c.slow is slow], events // (FEW if slow else 1), number)
        for slow in (False, True)
    }
    turn = number % len(contenders)
    found: dict[str, Figures] = {}
    for contender in (*contenders[turn:], *contenders[:turn]):
        run, truths = groups[contender.slow]
        found[contender.name] = _measure(services, contender, run)
        truths[contender.works].check(contender, run)
        _tell(found[contender.name], contender)
    return found


def _load(services: Services, contenders: Sequence[Contender], events: int, seed: int) -> tuple[Run, dict[bool, Truth]]:
    prefix = workload.prefix()
    config = clients(services.kafka_bootstrap)
    truths = {works: Truth(triaged=works) for works in (False, True)}
    run = Run(kafka=services.kafka_bootstrap, redis=services.redis_url, prefix=prefix, folder="", events=events)
    if contenders:
        names = {"appeals", *(topic for c in contenders for topic in (c.cases, *c.topics))}
        workload.create_topics(config, sorted(prefix + name for name in names))
        compacted = sorted(prefix + topic for c in contenders for topic in c.compacted)
        if compacted:
            workload.create_topics(config, compacted, **{"cleanup.policy": "compact"})
        rows = workload.small_appeals(f"{prefix}appeals", events, max(1, events // EVENTS_A_USER), seed)
        for truth in truths.values():
            rows = truth.passing(rows)
        workload.load(config, rows)
    return run, truths


def _measure(services: Services, contender: Contender, run: Run) -> Figures:
    visible = Visible(run.kafka, run.prefix + contender.cases, workload.PARTITIONS)
    with working(contender, run) as process:
        servers = [server for server in (services.kafka, services.redis) if server is not None]
        trees = [Tree(pid) for pid in (process.pid, *(server.pid for server in servers))]
        try:
            return figures(run.events, watch(run.events, visible, trees, process.alive), trees[0].peak_mb())
        except StalledError as stalled:
            raise StalledError(f"{contender.name}: {stalled}. It said last:\n{process.tail()}") from stalled


def _tell(found: Figures, contender: Contender) -> None:
    print(
        f"{contender.name}: {found.rate:,.0f}/s (second half {found.warm_rate:,.0f}), "
        f"{found.cpu_per_million[0]:.1f} CPU s a million, {found.peak_mb:.0f} MB, "
        f"{found.others:.2f} processors busy with others, verified",
        file=sys.stderr,
    )
