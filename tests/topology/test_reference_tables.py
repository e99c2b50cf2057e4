"""Reference tables in the real engine, in memory: whole before anything is judged, then between batches only."""

import pytest
from confluent_kafka import KafkaError

from processors.references import NOTHING, References
from schemas.codec import Codec
from schemas.records import AppealSubmitted, CaseEvent
from schemas.vocabulary import CaseEventKind
from tests.driver import Driver
from tests.driver.broker import MemoryBroker
from tests.driver.clock import START_MS, ManualClock
from tests.driver.consumer import MemoryOffsets, MemoryReader
from tests.driver.driver import CountingMetrics
from tests.driver.faults import kafka
from tests.driver.producer import MemoryProducer
from tests.unit.builders import DAY, HOUR, T0, an_appeal, an_enforcement
from tests.unit.test_references import BOOK, a_load, a_rate, on_file
from topology.appeals import appeals_app
from topology.engine.definition import ClockKind
from topology.reference_tables import LOADS, RATES, ReferenceTables
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import follow_references

REGISTER = load_register()
CODEC = Codec()


class World:
    """A broker with the two topics, and tables that follow them."""

    def __init__(self, *topics: str, broker: MemoryBroker | None = None, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(START_MS)
        self.broker = broker or MemoryBroker(self.clock)
        for topic in topics:
            self.broker.create_topic(topic, 2)
        self.metrics = CountingMetrics()
        self.tables = ReferenceTables(
            BOOK.tables,
            register=REGISTER,
            codec=CODEC,
            reader=MemoryReader(self.broker),
            offsets=MemoryOffsets(self.broker),
            clock=self.clock,
            metrics=self.metrics,
        )

    def write(self, topic: str, key: str, record: object) -> None:
        value = record if record is None or isinstance(record, bytes) else CODEC.encode(record, topic)
        self.broker.append(topic, key.encode(), value, timestamp=self.clock.now_ms())

    def refresh(self) -> None:
        self.clock.advance(1_000)
        self.tables.refresh()

    def seen(self):
        return self.tables.references.look(on_file(), T0)


def test_everything_is_read_before_anything_is_judged_and_what_comes_later_follows():
    world = World(RATES, LOADS)
    world.write(RATES, "r-86400", a_rate(1, 40))
    world.write(RATES, "r-86400", a_rate(2, 40))
    world.write(LOADS, "payments", a_load("payments"))
    assert world.tables.load()
    assert (world.seen().rate[:2], world.seen().full) == ((2, 40), {"payments"})
    assert world.metrics.gauges["reference_values"] == 2
    world.write(RATES, "r-86400", a_rate(3, 40))
    world.write(LOADS, "payments", None)
    assert world.seen().rate[:2] == (2, 40)
    world.refresh()
    assert (world.seen().rate[:2], world.seen().full) == ((3, 40), frozenset())
    world.write(RATES, "r-86400", None)
    world.refresh()
    assert world.seen() is NOTHING


def test_empty_topics_are_read_at_once():
    world = World(RATES, LOADS)
    before = world.clock.monotonic()
    assert world.tables.load()
    assert world.clock.monotonic() == before
    assert world.seen() is NOTHING


def test_a_missing_topic_is_told_and_the_other_one_read():
    world = World(LOADS)
    world.write(LOADS, "payments", a_load("payments"))
    assert world.tables.load()
    assert world.seen().full == {"payments"}
    assert world.metrics.counts["kafka_consumer_errors_total"] == 1


@pytest.mark.parametrize(
    ("key", "bad"),
    [("r-86400", b"\xc3\x01 no record"), ("r-86400", a_rate(9, 9, rate_id="another")), ("r-86400", a_load("x"))],
)
def test_a_record_that_cannot_be_read_is_counted_and_leaves_nothing_known_of_its_key(key, bad):
    world = World(RATES, LOADS)
    world.write(RATES, key, a_rate(36, 40))
    world.write(RATES, key, bad)
    world.write(RATES, "r-2", a_rate(1, 2, rate_id="r-2", policy="spam"))
    assert world.tables.load()
    assert world.seen() is NOTHING
    assert len(world.tables.references) == 1
    assert world.metrics.counts["reference_refused_total"] == 1


def test_a_broker_that_is_away_leaves_what_was_known():
    world = World(RATES, LOADS)
    world.write(RATES, "r-86400", a_rate(36, 40))
    assert world.tables.load()
    world.broker.faults.fail("reader.consume", lambda: kafka(KafkaError._TRANSPORT, "away"))
    world.refresh()
    assert world.seen().rate[:2] == (36, 40)
    assert world.metrics.counts["kafka_consumer_errors_total"] == 1


def test_a_start_waits_for_a_writer_that_hangs_no_longer_than_it_may():
    world = World(RATES, LOADS)
    world.write(RATES, "r-86400", a_rate(36, 40))
    hung = MemoryProducer(world.broker, "hung", timeout_s=3_600)
    hung.init_transactions(1)
    hung.begin_transaction()
    for partition in range(2):
        hung.produce(RATES, b"", b"r-1", partition)
    hung.flush(1)
    before = world.clock.monotonic()
    assert not world.tables.load(within_s=3)
    assert 3 <= world.clock.monotonic() - before < 4
    assert world.seen().rate[:2] == (36, 40)


# --- in the engine -------------------------------------------------------------------------------------------------

ENFORCEMENTS, APPEALS, AUDIT = "enforcement.events", "appeal.events", "case.events"


class Changing:
    """Tables that say something else after each look."""

    def __init__(self) -> None:
        self.references = References(BOOK.tables)
        self.looks = 0

    def refresh(self) -> None:
        self.looks += 1
        self.references.set_rate("r", a_rate(self.looks, 40, rate_id="r"))


def driven(tables: Changing, **settings: object) -> Driver:
    app = appeals_app(
        name="appeals",
        register=REGISTER,
        codec=CODEC,
        rulebook=BOOK,
        references=tables.references,
        refresh=tables.refresh,
    )
    return Driver(app, partitions=1, start_ms=T0 + 2 * HOUR, **settings)


def send(driver: Driver, topic: str, *records: object) -> None:
    for record in records:
        driver.send(topic, record.user_id, CODEC.encode(record, topic))


def opened(driver: Driver) -> list[str]:
    """What each case says that was opened, in order."""
    lines = [CODEC.decode(raw.value, frozenset({CaseEvent})) for raw in driver.read(AUDIT)]
    return [line.saw["rate_overturned"] for line in lines if line.kind is CaseEventKind.CASE_OPENED]


def an_appeal_of(number: int) -> AppealSubmitted:
    return an_appeal(appeal_id=f"a-{number}", enforcement_id=f"e-{number}")


def test_within_a_batch_every_event_sees_the_same_and_the_next_batch_what_has_come():
    tables = Changing()
    driver = driven(tables)
    send(driver, ENFORCEMENTS, *(an_enforcement(enforcement_id=f"e-{n}") for n in range(4)))
    driver.run()
    looks = tables.looks
    send(driver, APPEALS, an_appeal_of(0), an_appeal_of(1))
    driver.run()
    send(driver, APPEALS, an_appeal_of(2), an_appeal_of(3))
    driver.run()
    assert opened(driver) == [str(looks + 1)] * 2 + [str(looks + 2)] * 2


def test_what_is_folded_again_to_undo_a_later_event_sees_what_it_saw():
    tables = Changing()
    driver = driven(tables)
    send(driver, ENFORCEMENTS, an_enforcement(enforcement_id="e-0"))
    driver.run()
    send(driver, APPEALS, an_appeal_of(0), an_appeal(T0 + 9 * DAY, "a-1", enforcement_id="e-0"))  # far in the future
    driver.run()
    assert len(driver.dead_letters()) == 1
    [seen] = opened(driver)
    [dossier] = driver.states().values()
    [case] = dossier.cases.values()
    [part] = [part for part in case.parts if part.name == "wrongfulness"]
    assert f", {seen} of 40 by fake-finder 7" in part.because


def test_by_the_stream_clock_nothing_is_seen():
    settings = Settings(kafka="localhost:1", clock=ClockKind.STREAM)
    assert follow_references(settings, REGISTER, BOOK, CODEC, CountingMetrics()) is None
