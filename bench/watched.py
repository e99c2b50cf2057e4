"""`make bench-watched`: what being watched costs a worker of the whole appeals topology, at full load.

The same records, of the same seed, are folded by a worker whose figures go nowhere and by one that keeps them for
Prometheus and is scraped every second (fifteen times as often as usual), one after the other, on one broker. With
`--before FOLDER`, an older checkout folds them too, so that versions can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bench import workload
from bench.measure import Result, Stopwatch
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.metrics.labels import sets_of
from topology.metrics.prometheus import PrometheusMetrics
from topology.metrics.scrape import Endpoint
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import build, redis_client, tune_interpreter, wire

EVERY_S = 1.0
HERE = Path(__file__).parents[1]


class Watched(PrometheusMetrics):
    """Knows how many records are folded, too."""

    folded = 0.0

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """See `ports.Metrics`."""
        super().count(name, by, **labels)
        if name == "records_folded_total":
            self.folded += by


def main() -> None:
    """Measure in turn and print."""
    if sys.argv[1:2] == ["one"]:
        _one(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="an older checkout to compare with")
    options = parser.parse_args()
    modes = [*(["before"] if options.before else []), "bare", "watched"]
    found: dict[str, list[Result]] = {mode: [] for mode in modes}
    with embedded_services() as services:
        for seed in range(options.rounds):
            for mode in modes if seed % 2 == 0 else reversed(modes):
                result, scrapes = _run(mode, services.kafka_bootstrap, services.redis_url, options, seed)
                found[mode].append(result)
                print(f"{mode:8} {result.rate:9,.0f} events/s {result.cpu_per_million:6.1f} CPU s/million  {scrapes}")
    for mode in modes[1:]:
        first = modes[0]
        pairs = list(zip(found[mode], found[first], strict=True))
        rate = statistics.median(a.rate / b.rate for a, b in pairs)
        cpu = statistics.median(a.cpu_per_million / b.cpu_per_million for a, b in pairs)
        print(
            f"{mode} / {first}: events/s {rate:.3f}, CPU {cpu:.3f} (medians of {options.rounds} rounds, paired by seed)"
        )


def _run(mode: str, kafka: str, redis: str, options: argparse.Namespace, seed: int) -> tuple[Result, str]:
    prefix = workload.prefix()
    config = {"bootstrap.servers": kafka}
    Cluster(config, load_register(prefix, partitions=workload.PARTITIONS)).create_missing(1)
    events = options.events
    workload.load(config, workload.appeals_and_enforcements(prefix, events, max(1, events // 4), seed))
    module = ["bench.watched", "one"] if mode == "watched" else ["bench.contenders", "appeals"]
    where = options.before if mode == "before" else HERE
    command = [sys.executable, "-m", *module, kafka, redis, prefix, str(events)]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900, cwd=where)
    told: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return Result(**told), told["verified"]


def _one(kafka: str, redis: str, prefix: str, events: str) -> None:
    settings = Settings(kafka=kafka, redis=redis, topic_prefix=prefix, group=f"{prefix}engine", static_membership=False)
    app, register, *_ = wire(settings)
    metrics = Watched(sets_of(register, workload.PARTITIONS), strict=True)
    worker = build(app, settings, settings.engine(), redis=redis_client(settings), metrics=metrics)
    metrics.watch(worker.readings)
    endpoint = Endpoint(metrics, 0)
    tune_interpreter()
    watch = Stopwatch()
    worker.start()
    scraper: subprocess.Popen[bytes] | None = None
    while metrics.folded < int(events):
        if worker.step() and not watch.running:
            watch.start()
            scraper = subprocess.Popen([sys.executable, "-c", _SCRAPER, str(endpoint.port), str(EVERY_S)])
    result = watch.stop("watched", int(metrics.folded))
    shown = urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=10).read().decode()
    if scraper is not None:
        scraper.kill()
        scraper.wait()
    worker.close()
    [spent] = [line for line in shown.splitlines() if line.startswith("recourse_scrape_cpu_seconds_total ")]
    cpu_s = float(spent.split()[1])
    share = cpu_s / result.seconds
    series = sum(not line.startswith("#") for line in shown.splitlines())
    told = f"{series} series, scraped each {EVERY_S:g} s: {cpu_s * 1e3:.0f} ms of CPU in {result.seconds:.1f} s"
    told += f" = {share:.2%} of a core; at 15 s {share * EVERY_S / 15:.3%}"
    print(json.dumps({**vars(result), "verified": told}))


_SCRAPER = """
import sys, time, urllib.request
port, every_s = sys.argv[1], float(sys.argv[2])
while True:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    urllib.request.urlopen(request, timeout=10).read()
    time.sleep(every_s)
"""


if __name__ == "__main__":
    main()
