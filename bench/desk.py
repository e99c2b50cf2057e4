"""`make bench-desk`: how fast the desk is for people: from nothing, a full queue, a case that comes, fifty at work.

A real Kafka, Redis and engine; the desk is a process of its own, as it is in production, and what asks it is another.
Server time is what a request takes on the loopback. Each figure is only told if what it is about was really seen: all
cases in the queue, each case on the page, each claim answered by the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psutil
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from bench import figures, workload
from bench.workload import Row
from desk.client import Client
from desk.names import Names
from processors import ids
from schemas.codec import Codec
from schemas.records import AppealId, AppealSubmitted, Case
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.topics import load_register

POD = "intellectual-property"
"""Where the workload's cases go, as its policy is counterfeit."""
MANY = "livestream"
"""A pod that gets copies of one case, to be started from nothing."""
READY_S = 120.0


class NotSeen(Exception):  # noqa: N818 - what was seen instead
    """Something that is measured did not happen. Not a `SystemExit`, which would end the loop under everybody else."""


def main() -> None:
    """Measure, print, and write what was asked for."""
    options = _options()
    try:
        with embedded_services(heap_mb=768) as services, tempfile.TemporaryDirectory() as folder:
            summary = measure(services.kafka_bootstrap, services.redis_url, Path(folder), options)
    except NotSeen as exc:
        raise SystemExit(str(exc)) from None
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-desk", description=__doc__)
    parser.add_argument("--open", type=int, default=10_000, help="open cases of the pod that is looked at")
    parser.add_argument("--many", type=int, default=100_000, help="open cases of a pod that is read from nothing")
    parser.add_argument("--specialists", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0, help="that they work")
    parser.add_argument("--arrivals", type=float, default=5.0, help="appeals a second meanwhile")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def measure(kafka: str, redis: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    prefix, config = workload.prefix(), {"bootstrap.servers": kafka}
    Cluster(config, load_register(prefix, partitions=workload.PARTITIONS)).create_missing(1)
    engine = {
        "RECOURSE_KAFKA": kafka,
        "RECOURSE_REDIS": redis,
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_GROUP": prefix,
    }
    with _process(engine, folder / "engine.log", "topology.cli", "run"):
        workload.load(config, _cases(prefix, options.open))
        summary: dict[str, Any] = {"machine": figures.machine(), "options": vars(options)}
        summary["from_nothing"] = _from_nothing(config, prefix, options)
        told = {
            "RECOURSE_DESK_KAFKA": kafka,
            "RECOURSE_DESK_TOPIC_PREFIX": prefix,
            "RECOURSE_DESK_TEXTS": str(folder / "texts"),
            "RECOURSE_DESK_PORT": "0",
            "RECOURSE_DESK_SECURE_COOKIES": "false",
            "RECOURSE_DESK_LOG_FORMAT": "json",
        }
        with _process(told, folder / "desk.log", "desk.server") as desk:
            address = _address(folder / "desk.log")
            summary |= asyncio.run(_pages(address, psutil.Process(desk.pid), config, prefix, options))
    return summary


# --- from nothing -------------------------------------------------------------------------------------------------


def _from_nothing(config: dict[str, Any], prefix: str, options: argparse.Namespace) -> dict[str, Any]:
    """How long a client needs until the queues are whole, for the engine's cases, and for many copies of one."""
    found: dict[str, Any] = {}
    deadline = time.monotonic() + READY_S
    while True:
        seconds, count, sample = _read(config, prefix, POD)
        if count == options.open and sample is not None:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"the engine has made {count} cases of {options.open}")
        time.sleep(1)
    found["engine's"] = {"cases": count, "seconds": round(seconds, 2), "bytes": len(Codec().encode(sample))}
    codec = Codec()
    copies = (_copy(sample, number) for number in range(options.many))
    rows = ((f"{prefix}cases.{MANY}", each.case_id.encode(), codec.encode(each), workload.now_ms()) for each in copies)
    workload.load(config, rows)
    seconds, count, _ = _read(config, prefix, MANY)
    if count != options.many:
        raise SystemExit(f"{count} of {options.many} cases were read")
    found["many"] = {"cases": count, "seconds": round(seconds, 2)}
    return found


def _read(config: dict[str, Any], prefix: str, pod: str) -> tuple[float, int, Case | None]:
    began = time.monotonic()
    with Client(config, Names(prefix), pods=[pod]) as client:
        queue = client.queue(pod)
        if not queue.wait_until_whole(READY_S):
            raise SystemExit(f"the queue of {pod} was not whole within {READY_S:.0f} s")
        seconds = time.monotonic() - began
        first = queue.next_for("nobody")
        return seconds, len(queue), first


def _copy(case: Case, number: int) -> Case:
    return msgspec.structs.replace(
        case, case_id=f"copy-{number}", pod=MANY, rank_at=case.rank_at + number * 7_919 % 100_000
    )


def _cases(prefix: str, count: int) -> Iterator[Row]:
    """An enforcement and an appeal for each user."""
    rng, codec = random.Random(1), Codec()
    for number in range(count):
        yield from _one(rng, codec, prefix, number, workload.START_MS + number)


def _one(rng: random.Random, codec: Codec, prefix: str, number: int, at: int) -> Iterator[Row]:
    user = workload.user_of(number)
    struck = msgspec.structs.replace(workload.enforcement(rng, number, at, user), amount=None, action="content_removal")
    # A language that the pod has, or it would go to its substitute.
    appeal = msgspec.structs.replace(workload.appeal_against(rng, number, at, struck), language="en")
    for topic, record in (("enforcement.events", struck), ("appeal.events", appeal)):
        yield prefix + topic, user.encode(), codec.encode(record), at


# --- pages --------------------------------------------------------------------------------------------------------


async def _pages(
    address: str, desk: psutil.Process, config: dict[str, Any], prefix: str, options: argparse.Namespace
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with _somebody(address, "anna") as anna:
        deadline = time.monotonic() + READY_S
        while (await anna.get("/readyz")).status_code != 200:
            if time.monotonic() > deadline:
                raise NotSeen("the desk does not become ready")
            await asyncio.sleep(0.2)
        for name, path in (
            ("first page", f"/pods/{POD}"),
            ("last page", f"/pods/{POD}?page={options.open // 50}"),
            ("all", f"/pods/{POD}?show=all"),
            ("part that is fetched on a change", f"/pods/{POD}/rows"),
        ):
            found[name] = _milliseconds([await _timed(anna, path) for _ in range(100)])
        page = (await anna.get(f"/pods/{POD}")).text
        case_id = re.findall(r'class="open" href="/cases/([^"]+)"', page)[0]
        found["case"] = _milliseconds([await _timed(anna, f"/cases/{case_id}") for _ in range(100)])
        found["board"] = _milliseconds([await _timed(anna, "/board") for _ in range(30)])
        appears = await _appears(anna, config, prefix, options.open)
        at_work = await _at_work(address, desk, config, prefix, options)
    return {"pages": found, "appears": appears, "at_work": at_work}


@contextlib.asynccontextmanager
async def _somebody(address: str, name: str) -> AsyncIterator[httpx2.AsyncClient]:
    groups = f"recourse-lead,recourse-specialist,recourse-pod-{POD},recourse-auditor"
    headers = {"x-forwarded-user": name, "x-forwarded-groups": groups}
    # No certificates to load: it would be what is measured.
    options = {"timeout": 60, "follow_redirects": True, "verify": False}
    async with httpx2.AsyncClient(base_url=address, headers=headers, **options) as client:
        yield client


async def _timed(client: httpx2.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await client.get(path)
    if answer.status_code != 200:
        raise NotSeen(f"{path}: {answer.status_code}")
    return 1_000 * (time.perf_counter() - began)


async def _appears(
    anna: httpx2.AsyncClient, config: dict[str, Any], prefix: str, first: int, times: int = 50
) -> dict[str, Any]:
    """From an appeal's produce call to its row on a page that was told of it: the engine's time is in it."""
    producer, rng, codec = (
        Producer({**config, "partitioner": "murmur2_random", "linger.ms": 0}),
        random.Random(2),
        Codec(),
    )
    took: list[float] = []
    async with anna.stream("GET", f"/pods/{POD}/live?show=all&page=1", timeout=None) as told:
        lines = told.aiter_lines()
        await _next_change(lines)
        for number in range(first, first + times):
            # Older than all others, so that it comes to the first page.
            rows = list(_one(rng, codec, prefix, number, workload.START_MS - 86_400_000 + number))
            began = time.perf_counter()
            for topic, key, value, _ in rows:
                producer.produce(topic, value, key)
            producer.flush(10)
            sor = f"/cases/{_case_id(rows)}"
            while True:
                await asyncio.wait_for(_next_change(lines), 20)
                if sor in (await anna.get(f"/pods/{POD}/rows?show=all")).text:
                    break
            took.append(1_000 * (time.perf_counter() - began))
            await asyncio.sleep(rng.uniform(0.05, 0.3))
    return _milliseconds(took)


def _case_id(rows: list[Row]) -> str:
    appeal = Codec().decode(rows[-1][2], frozenset({AppealSubmitted}))
    return ids.case_id(AppealId(appeal.appeal_id))  # type: ignore[attr-defined]


async def _next_change(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        if line.startswith("event: changed"):
            return


# --- many at work -------------------------------------------------------------------------------------------------


async def _at_work(
    address: str, desk: psutil.Process, config: dict[str, Any], prefix: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Each takes the next case, looks at what a decision would do, and decides, with a live queue in another window."""
    took: dict[str, list[float]] = {"next": [], "preview": [], "decide": [], "rows": []}
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(_somebody(address, f"r-{n}")) for n in range(options.specialists)]
        for person in people:
            await person.get(f"/pods/{POD}")  # everybody is there before anybody begins
        until = time.monotonic() + options.seconds
        before, began = sum(desk.cpu_times()[:2]), time.monotonic()
        feeding = asyncio.create_task(_feed(config, prefix, options, until))
        await asyncio.gather(*(_work(person, number, until, took) for number, person in enumerate(people)))
        seconds = time.monotonic() - began
        await feeding
    return {
        "specialists": options.specialists,
        "decisions_a_second": round(len(took["decide"]) / seconds, 1),
        "desk_cpu_share": round((sum(desk.cpu_times()[:2]) - before) / seconds, 2),
        "desk_mb": round(desk.memory_info().rss / 1e6),
        **{name: _milliseconds(each) for name, each in took.items()},
    }


async def _work(client: httpx2.AsyncClient, number: int, until: float, took: dict[str, list[float]]) -> None:
    rng = random.Random(number)
    await asyncio.sleep(rng.uniform(0, 3))
    listening = asyncio.create_task(_listen(client, until, took["rows"]))
    page = (await client.get(f"/pods/{POD}")).text
    while time.monotonic() < until:
        form = {"token": page.split('data-token="')[1].split('"')[0]}
        page = await _post(client, f"/pods/{POD}/next", form, took["next"])
        if 'name="seen"' not in page:
            raise NotSeen(f"number {number} got no case: {_flash(page)}")
        case_id = page.split('data-case="')[1].split('"')[0]
        form |= {each: page.split(f'name="{each}" value="')[1].split('"')[0] for each in ("version", "seen")}
        form |= {"outcome": "overturned", "reasons": f"Number {number} has looked at it."}
        await asyncio.sleep(rng.uniform(1, 5))  # Nobody reads faster than this.
        await _post(client, f"/cases/{case_id}/preview", form, took["preview"])
        await asyncio.sleep(rng.uniform(1, 4))
        page = await _post(client, f"/cases/{case_id}/decide", form, took["decide"])
        if "is taken" not in page and "is proposed" not in page:
            raise NotSeen(f"the decision of number {number} did not count: {_flash(page)}")
        await asyncio.sleep(rng.uniform(0.1, 0.5))
    listening.cancel()


def _flash(page: str) -> str:
    """What a page says first of what was just done; else how it begins."""
    found = re.search(r'class="banner[^"]*"[^>]*>(.*?)</', page, re.DOTALL)
    return re.sub(r"\s+", " ", found[1] if found else page[:300]).strip()


async def _listen(client: httpx2.AsyncClient, until: float, took: list[float]) -> None:
    """The queue in another window, which is told and fetches."""
    async with client.stream("GET", f"/pods/{POD}/live", timeout=None) as told:
        lines = told.aiter_lines()
        while time.monotonic() < until:
            await _next_change(lines)
            took.append(await _timed(client, f"/pods/{POD}/rows"))


async def _post(client: httpx2.AsyncClient, path: str, form: dict[str, str], took: list[float]) -> str:
    began = time.perf_counter()
    answer = await client.post(path, data=form)
    if answer.status_code != 200:
        raise NotSeen(f"{path}: {answer.status_code}")
    took.append(1_000 * (time.perf_counter() - began))
    return answer.text


async def _feed(config: dict[str, Any], prefix: str, options: argparse.Namespace, until: float) -> None:
    """Appeals go on coming."""
    producer, rng, codec = Producer({**config, "partitioner": "murmur2_random"}), random.Random(3), Codec()
    number = options.open + 1_000
    while time.monotonic() < until:
        for topic, key, value, _ in _one(rng, codec, prefix, number, workload.now_ms()):
            producer.produce(topic, value, key)
        producer.poll(0)
        number += 1
        await asyncio.sleep(1 / options.arrivals)
    producer.flush(10)


# --- parts --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _process(told: dict[str, str], log: Path, *module: str) -> Generator[subprocess.Popen[bytes]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECOURSE_")}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", *module], env={**kept, **told}, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(log: Path) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if '"desk_started"' in line:
                return json.loads(line)["address"].rstrip("/")
        time.sleep(0.05)
    raise SystemExit(f"the desk does not start:\n{log.read_text()[-2_000:]}")


def _milliseconds(took: list[float]) -> dict[str, Any]:
    if len(took) < 2:
        return {"n": len(took)}
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"n": len(took), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "worst_ms": round(max(took), 1)}


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    for name, found in summary["from_nothing"].items():
        console.print(f"from nothing, {name}: {found['cases']:,} open cases in {found['seconds']} s", highlight=False)
    table = Table("what", "n", "p50 ms", "p99 ms", "worst ms", title=f"{summary['options']['open']:,} open cases")
    rows = {**summary["pages"], "appeal to row on a page": summary["appears"]}
    work = summary["at_work"]
    rows |= {f"{work['specialists']} at work: {each}": work[each] for each in ("next", "preview", "decide", "rows")}
    for name, found in rows.items():
        table.add_row(name, *(str(found.get(each, "-")) for each in ("n", "p50_ms", "p99_ms", "worst_ms")))
    console.print(table)
    console.print(
        f"{work['decisions_a_second']} decisions a second, the desk used {work['desk_cpu_share']:.0%} of a core and "
        f"{work['desk_mb']} MB",
        highlight=False,
    )
    console.print(figures.told(summary["machine"]), highlight=False)


if __name__ == "__main__":
    main()
