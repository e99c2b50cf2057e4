"""`make bench-remedy`: a misfire of many enforcements is reversed while appeals go on arriving.

One worker, a real broker and a real Redis, all on this machine. Measured is how long an appeal takes from its producer
to its pod's topic, seen by a reader of committed records: in quiet (before and after, as machines have moods), and from
the proposal to the end of the remedy. On a machine with other work the quiet figure is not worth much; see its load.
A figure counts only if the work was done: each enforcement reversed by exactly one order, and reports that say so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from bench import figures, workload
from bench.live import Latency, LiveAppeals
from bench.verify import committed
from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.replay.fold import _End
from topology.settings import Settings
from topology.topics import Register, load_register
from topology.worker import run

TARGET = 2.0
"""The slowest hundredth of appeals may take so many times as long as in quiet."""
BAD, GOOD = r.Detector(name="counterfeit-image", version="5.0"), r.Detector(name="counterfeit-image", version="4.2")
REMEDY = "bench-misfire"
PATIENCE_S = 1_800.0
WARM_UP_S = 5.0


def main() -> None:
    """Measure, verify, print, and write what was asked for."""
    if len(sys.argv) == 5 and sys.argv[1] == "worker":
        sys.exit(run(_settings(*sys.argv[2:])))
    options = _options()
    with embedded_services() as services:
        summary = measure(services.kafka_bootstrap, services.redis_url, options)
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-remedy", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--enforcements", type=int, default=100_000, help="of the version that misfired")
    parser.add_argument("--each", type=int, default=2, help="of them on each user; 200: whole catalogues were struck")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--per-second", type=int, default=500, help="reversals a second, over all partitions")
    parser.add_argument("--appeals", type=float, default=50, help="live appeals a second")
    parser.add_argument("--quiet-seconds", type=float, default=30)
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def measure(kafka: str, redis: str, options: argparse.Namespace) -> dict[str, Any]:
    """Load, fold, measure in quiet, run the remedy, verify."""
    load = os.getloadavg()[0]
    prefix = workload.prefix()
    config = {"bootstrap.servers": kafka}
    register = load_register(prefix, partitions=options.partitions)
    Cluster(config, register).create_missing(1)
    live = min(200_000, int(options.appeals * _expected_s(options) * 3))
    workload.load(config, _enforcements(register, options.enforcements, options.each, live))
    with _worker(kafka, redis, prefix):
        _until_folded(_settings(kafka, redis, prefix), register, options.partitions)
        users = ((f"user-{n:07d}", f"live-{n}") for n in range(live))
        with LiveAppeals(config, register, users, options.appeals) as appeals:
            time.sleep(WARM_UP_S)
            before = _quiet(options.quiet_seconds)
            remedy = Remedy(config, register, options.partitions)
            proposed = time.monotonic()
            remedy.propose(options.per_second)
            remedy.wait(v.RemedyState.AWAITING_APPROVAL)
            previewed = time.monotonic()
            remedy.approve("paul", "quinn")
            remedy.wait(v.RemedyState.DONE)
            done = time.monotonic()
            time.sleep(WARM_UP_S)
            after = _quiet(options.quiet_seconds)
            quiet, quiet_before, quiet_after = appeals.during(before, after), *map(appeals.during, (before, after))
            preview, running = appeals.during((proposed, previewed)), appeals.during((previewed, done))
            during = appeals.during((proposed, done))
    _verify(config, register, options.enforcements, remedy)
    return {
        "machine": figures.machine() | {"load_before": round(load, 1)},
        "enforcements": options.enforcements,
        "each": options.each,
        "partitions": options.partitions,
        "per_second": options.per_second,
        "appeals_per_second": options.appeals,
        "quiet": asdict(quiet),
        "quiet_before": asdict(quiet_before),
        "quiet_after": asdict(quiet_after),
        "preview": asdict(preview) | {"seconds": round(previewed - proposed, 1)},
        "running": asdict(running) | {"seconds": round(done - previewed, 1)},
        "during": asdict(during) | {"seconds": round(done - proposed, 1)},
        "reversals_per_second": round(options.enforcements / (done - previewed)),
        "p99_ratio": round(during.p99 / quiet.p99, 2),
        "target": TARGET,
        "verified": f"{options.enforcements} orders, one each; the reports of {options.partitions} partitions say so",
    }


class Remedy:
    """Sends the commands as an operator's tool does, and follows the reports."""

    def __init__(self, kafka: dict[str, Any], register: Register, partitions: int) -> None:
        self._kafka = kafka
        self._register = register
        self._partitions = partitions
        self._codec = Codec()
        self._producer = Producer({**kafka, "transactional.id": register.on_cluster("operator")})
        self._producer.init_transactions(30)

    def propose(self, per_second: int) -> None:
        """The whole cohort, whenever it was struck."""
        now = _now()
        self._send(
            r.RemedyProposed,
            detector=BAD,
            reason="bench",
            issued_from=r.Millis(now - 86_400_000),
            issued_until=r.Millis(now + 86_400_000),
            per_second=per_second,
            actor=r.ReviewerId("olga"),
        )

    def approve(self, *actors: str) -> None:
        """By these people."""
        for actor in actors:
            self._send(r.RemedyApproved, enforcements=0, actor=r.ReviewerId(actor))

    def _send(self, kind: Any, **content: Any) -> None:
        topic = self._register.on_cluster("remedy.commands")
        event_id = f"{kind.__name__}-{content['actor']}"
        self._producer.begin_transaction()
        for partition in range(self._partitions):
            record = kind(
                event_id=event_id,
                remedy_id=REMEDY,
                partition=partition,
                partitions=self._partitions,
                occurred_at=r.Millis(_now()),
                **content,
            )
            self._producer.produce(topic, self._codec.encode(record, topic), REMEDY.encode(), partition=partition)
        self._producer.commit_transaction()

    def reports(self) -> list[r.RemedyReported]:
        """The newest of each partition."""
        topic = self._register.by_name["remedy.events"]
        newest: dict[int, r.RemedyReported] = {}
        for message in committed(self._kafka, self._register.on_cluster(topic.name)):
            report = self._codec.decode(message.value() or b"", topic.allowed)
            if isinstance(report, r.RemedyReported):
                known = newest.get(report.partition)
                if known is None or report.seq > known.seq:
                    newest[report.partition] = report
        return list(newest.values())

    def wait(self, state: v.RemedyState) -> None:
        """Until every partition says so."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            reports = self.reports()
            if len(reports) == self._partitions and all(report.state is state for report in reports):
                return
            time.sleep(1.0)
        raise SystemExit(f"the remedy is not {state} after {PATIENCE_S:.0f} s")


def _enforcements(register: Register, count: int, each: int, live: int) -> Iterator[workload.Row]:
    """The cohort, and one enforcement of a sound version for each live appeal, some on users of the cohort."""
    codec = Codec()
    topic = register.on_cluster("enforcement.events")
    for n in range(max(count, live)):
        at = workload.START_MS + n
        if n < count:
            record = _enforcement(f"user-{n // each:07d}", f"bad-{n}", BAD, at)
            yield topic, record.user_id.encode(), codec.encode(record, topic), at
        if n < live:
            record = _enforcement(f"user-{n:07d}", f"live-{n}", GOOD, at)
            yield topic, record.user_id.encode(), codec.encode(record, topic), at


def _enforcement(user: str, enforcement: str, detector: r.Detector, at: int) -> r.EnforcementIssued:
    return r.EnforcementIssued(
        event_id=f"ev-{enforcement}",
        user_id=r.UserId(user),
        enforcement_id=r.EnforcementId(enforcement),
        version=1,
        issued_at=r.Millis(at),
        policy="counterfeit",
        policy_version="2026-03",
        action=v.Action.CONTENT_REMOVAL,
        target=r.Target(kind=v.TargetKind.LISTING, id=f"listing-{enforcement}"),
        ground=v.Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT,
        category=v.Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD,
        source=v.Source.SOURCE_VOLUNTARY,
        detector=detector,
        automation=v.Automation.AUTOMATED_DECISION_FULLY,
        statement_of_reasons_id=f"sor-{enforcement}",
        effects=[r.Effect(effect_id=f"ef-{enforcement}", system="catalogue", kind=v.EffectKind.CONTENT_STATUS)],
        strikes=1,
    )


def _verify(kafka: dict[str, Any], register: Register, count: int, remedy: Remedy) -> None:
    """Each of the cohort was ordered exactly once, by the remedy and by nothing else, and the reports say the same.

    Raises:
        SystemExit: a figure would be worth nothing.
    """
    codec, topic = Codec(), register.by_name["resolution.events"]
    orders: Counter[str] = Counter()
    for message in committed(kafka, register.on_cluster(topic.name)):
        record = codec.decode(message.value() or b"", topic.allowed)
        if isinstance(record, r.ReversalOrdered) and record.attempt == 1:
            if record.cause is not v.ReversalCause.REMEDY or record.remedy_id != REMEDY:
                raise SystemExit(f"{record.enforcement_id} was reversed by {record.cause}, not by the remedy")
            orders[record.enforcement_id] += 1
    if orders != Counter(f"bad-{n}" for n in range(count)):
        twice = sum(n > 1 for n in orders.values())
        raise SystemExit(f"{len(orders)} of {count} enforcements were reversed, {twice} of them more than once")
    reports = remedy.reports()
    told = sum(report.done.enforcements for report in reports), sum(report.cohort.enforcements for report in reports)
    if told != (count, count):
        raise SystemExit(f"the reports say that {told[0]} of {told[1]} were reversed, not {count}")


@contextmanager
def _worker(kafka: str, redis: str, prefix: str) -> Iterator[None]:
    """One worker as `recourse run` is it, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.remedy", "worker", kafka, redis, prefix])
    try:
        yield
        if process.poll() is not None:
            raise SystemExit(f"the worker ended with {process.returncode}")
    finally:
        process.terminate()
        process.wait(60)


def _until_folded(settings: Settings, register: Register, partitions: int) -> None:
    inputs = tuple(register.on_cluster(topic.name) for topic in register.inputs)
    end = _End(settings.kafka_config(), settings.group, inputs, partitions)
    try:
        while not end.reached():
            time.sleep(0.5)
    finally:
        end.close()


def _settings(kafka: str, redis: str, prefix: str) -> Settings:
    return Settings(
        kafka=kafka, redis=redis, topic_prefix=prefix, group=f"{prefix}engine", static_membership=False,
        log_format="json",
    )  # fmt: skip


def _quiet(seconds: float) -> tuple[float, float]:
    """A window in which nothing but the appeals goes on."""
    start = time.monotonic()
    time.sleep(seconds)
    return start, time.monotonic()


def _expected_s(options: argparse.Namespace) -> float:
    return float(2 * (options.quiet_seconds + WARM_UP_S) + 60 + options.enforcements / options.per_second)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    title = (
        f"{summary['enforcements']:,} reversals, {summary['each']} a user, on {summary['partitions']} partitions, "
        f"one worker, {summary['appeals_per_second']:g} appeals/s"
    )
    table = Table("appeals to their pod", "appeals", "p50 ms", "p99 ms", "slowest ms", "seconds", title=title)
    names = {
        "quiet_before": "in quiet before",
        "quiet_after": "in quiet after",
        "quiet": "in quiet",
        "preview": "during the dry run",
        "running": "while it runs",
        "during": "both",
    }
    for key, name in names.items():
        found = Latency(**{field: summary[key][field] for field in ("appeals", "p50", "p99", "worst")})
        seconds = summary[key].get("seconds", "")
        table.add_row(
            name, f"{found.appeals:,}", f"{found.p50:.0f}", f"{found.p99:.0f}", f"{found.worst:.0f}", str(seconds)
        )
    console.print(table)
    console.print(
        f"p99 during / quiet: {summary['p99_ratio']:.2f} (wanted at most {summary['target']})", highlight=False
    )
    console.print(
        f"{summary['reversals_per_second']:,} reversals/s (allowed {summary['per_second']:,}); {summary['verified']}",
        highlight=False,
    )
    machine = summary["machine"]
    console.print(f"{figures.told(machine)}, load {machine['load_before']} before it began", highlight=False)


if __name__ == "__main__":
    main()
