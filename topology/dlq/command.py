"""`recourse dlq`: from settings to what is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import DeadLetterSettled
from schemas.vocabulary import DeadLetterAction
from topology.dlq import decoding, reading
from topology.dlq.choosing import WITHOUT_RECORD, Choice, State, Wanted, choose, missing, state_of
from topology.dlq.letters import DeadLetter, Kind, parse_place
from topology.dlq.settling import Probe, Settler, no_probe
from topology.engine.errors import Misconfigured
from topology.privacy.letters import Opener
from topology.privacy.opening import open_keys
from topology.registry import open_codec, open_registry
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topics import Register


class Done(IntEnum):
    """What became of an order, as its exit code."""

    ALL = 0
    """Everything that it was about is settled as it says, by it or before it."""
    NOT_ALL = 1
    """Some could not be; each is named with the reason."""


class Desk:
    """Where one operator looks at dead letters and settles them."""

    def __init__(self, settings: Settings, console: Console, register: Register | None = None) -> None:
        """`register` other than the packaged one, with the settings' prefix."""
        self._settings = settings
        self._console = console
        self._register = register or settings.register_of_topics()
        self._codec = open_codec(settings)

    def list_(self, wanted: Wanted, *, topic: str | None, state: State | None, limit: int) -> None:
        """Print letters, and count all that are meant by reason.

        Args:
            wanted: which of them.
            topic: only of this input.
            state: only such; None: all.
            limit: at most so many lines.
        """
        counts: Counter[str] = Counter()
        others = 0
        table = Table("where", "from", "at", "state", "reason", "what was wrong")
        with self._reader() as reader, self._opener() as opened:
            done = reading.settled(reader, self._codec, self._register)
            for letter in reading.letters(reader, self._register, reading.queues(self._register, topic), opened):
                if not wanted.takes(letter):
                    continue
                if state not in (None, state_of(letter.place, done)):
                    others += 1
                    continue
                counts[letter.code] += 1
                if table.row_count < limit:
                    told = _told(done.get(letter.place))
                    words = letter.unreadable or letter.message
                    cells = (letter.place, letter.origin, _at(letter.at_ms), told, letter.code, words)
                    # Escaped: the message can quote what was sent, and that must not be read as markup.
                    table.add_row(*map(escape, cells))
        self._console.print(table)
        if others:
            self._say(f"{others} more in other states; --state all shows them")
        self._say(", ".join(f"{code} {n}" for code, n in sorted(counts.items())) or "no dead letters")

    def show(self, where: str) -> None:
        """Print one letter whole: state, key, headers, what can be read of the record, bytes.

        Raises:
            Misconfigured: there is none.
        """
        topic, partition, offset = parse_place(where)
        [queue] = reading.queues(self._register, topic)
        with self._reader() as reader, self._opener() as opened:
            done = reading.settled(reader, self._codec, self._register)
            all_of_it = reading.letters(reader, self._register, [queue], opened)
            letter = next((each for each in all_of_it if (each.partition, each.offset) == (partition, offset)), None)
        if letter is None:
            raise Misconfigured(f"no dead letter at {where}; `recourse dlq list` shows which there are")
        self._say(f"key    {letter.key!r}")
        for line in _history(letter, done.get(letter.place)):
            self._say(line)
        if letter.sealed_value is not None:
            self._say("sealed on the topic, opened here with the key of its user, or of its month")
        for name, value in letter.headers:
            self._say(f"header {name}: {(value or b'').decode(errors='backslashreplace')}")
        for line in self._readable(letter):
            self._say(line)
        value = letter.value or b""
        self._say(f"value  {len(value)} bytes: {value.hex()}")

    def settle(
        self,
        wanted: Wanted,
        action: DeadLetterAction,
        *,
        topic: str | None,
        actor: str,
        reason: str,
        dry_run: bool,
        limit: int | None = None,
        new_time: bool = False,
        probe: Probe = no_probe,
    ) -> Done:
        """Replay or discard what is wanted, each letter once, and say what came of it.

        Args:
            wanted: which letters.
            action: what to do with them.
            topic: only of this input.
            actor: who does it.
            reason: why.
            dry_run: only say what would be done.
            limit: at most so many, the oldest first.
            new_time: see `Settler.settle`.
            probe: for tests.

        Raises:
            Misconfigured: nothing lies at a named place, or the broker did not take it.
        """
        wanted = replace(wanted, places=frozenset(p.removeprefix(self._register.prefix) for p in wanted.places))
        queues = reading.queues(self._register, topic)
        if wanted.places:
            topics = {self._register.on_cluster(queue).removeprefix(self._register.prefix): queue for queue in queues}
            lie = {parse_place(place)[0] for place in wanted.places}
            queues = [queue for topic, queue in topics.items() if topic in lie]

        def look() -> Choice:
            with self._reader() as reader, self._opener() as opened:
                done = reading.settled(reader, self._codec, self._register)
                seen: set[str] = set()
                letters = _noting(reading.letters(reader, self._register, queues, opened), wanted, seen)
                choice = choose(letters, done, wanted, action, limit=limit, new_time=new_time)
            unknown = missing(wanted, seen)
            if unknown:
                raise Misconfigured(
                    f"no dead letter at {', '.join(unknown)}; `recourse dlq list` shows which there are"
                )
            return choice

        if dry_run:
            choice = look()
            for place in choice.chosen:
                self._say(f"would be {action}: {place}")
            return self._end(choice, len(choice.chosen), f"would be {action}")
        settler = Settler(self._settings, self._register, self._codec, actor=actor, reason=reason, probe=probe)
        # In this order: only once older orders are fenced is what they settled the whole of it.
        with settler:
            choice = look()
            with self._reader() as reader, self._opener() as opened:
                letters = reading.letters(reader, self._register, queues, opened)
                chosen = (each for each in letters if each.place in choice.chosen)
                count = settler.settle(chosen, action, new_time=new_time)
        return self._end(choice, count, action)

    def _end(self, choice: Choice, count: int, what: str) -> Done:
        for left in choice.left:
            self._say(f"{left.place}: {left.why}: {left.text}")
        refused = len(choice.refused)
        self._say(f"{count} {what}" + (f", {refused} not" if refused else ""))
        return Done.NOT_ALL if refused else Done.ALL

    def _readable(self, letter: DeadLetter) -> Iterator[str]:
        if letter.kind in WITHOUT_RECORD:
            yield f"no record: {WITHOUT_RECORD[letter.kind]}"
            return
        if letter.unreadable:
            yield f"record unknown: {letter.unreadable}"
            return
        if letter.value is None:
            yield "record without a value"
            return
        try:
            yield from decoding.told(decoding.decode(letter.value, open_registry(self._settings)))
            self._codec.decode(letter.value, self._register.by_name[letter.source].allowed)
        except DecodeError as exc:
            yield f"refused now: {exc}"
        except RegistryUnavailableError as exc:
            yield f"record unknown: schema registry: {exc}"
        else:
            yield "refused now: no; it can be read, so what was wrong is its key, its time or what it asks for"

    @contextmanager
    def _opener(self) -> Generator[Opener]:
        if self._settings.kek is None:
            yield Opener(None)
            return
        with open_keys(self._settings, name=f"{self._settings.group}-dlq-keys", register=self._register) as keys:
            yield Opener(keys)

    def _reader(self) -> TopicReader:
        return TopicReader(self._settings.kafka_config(), self._register, name=f"{self._settings.group}-dlq")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _noting(letters: Iterator[DeadLetter], wanted: Wanted, seen: set[str]) -> Iterator[DeadLetter]:
    """The letters as they are; which of the named places are among them is noted."""
    for letter in letters:
        if letter.place in wanted.places:
            seen.add(letter.place)
        yield letter


def _told(done: DeadLetterSettled | None) -> str:
    return "pending" if done is None else f"{done.action} by {done.actor}"


def _history(letter: DeadLetter, done: DeadLetterSettled | None) -> Iterator[str]:
    kinds = {Kind.RECORD: "a record", Kind.TIMER: "a timer", Kind.TELL: "what a sweep tells", Kind.FOREIGN: "not ours"}
    yield f"place  {letter.place}, {kinds[letter.kind]} from {letter.origin}"
    if done is None:
        yield "state  pending"
        return
    where = f", now at {done.replayed_to}" if done.replayed_to else ""
    yield f"state  {done.action} {_at(done.occurred_at)} by {done.actor}: {done.reason}{where}"


def _at(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
