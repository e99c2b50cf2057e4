"""One key a user: found in the view, made on first use, gone for ever once it is shredded.

The topic `subject.keys` is the truth; the view in Redis is brought up to its end before anything is made or given up
for lost, so a Redis that was flushed, or that forgot its newest writes, never makes a second key for a user, and a
key that is missing after that has been shredded. How a key is made:

1. The view is brought up to the end of the topic.
2. The key is announced in the view, unless another program has done so: then that one's is waited for.
3. It is written to the topic, and the view is brought up again.
4. What the view then has is used. Only now is anything sealed with it.

If Redis forgets the announcement between 2 and 3, two programs may write two keys; the first on the topic counts, and
the other program writes that one again, so that compaction keeps it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas import wrapped
from schemas.codec import Codec
from schemas.errors import DecodeError, EncodeError, RegistryUnavailableError, SchemaNotFoundError
from schemas.records import Millis, SubjectKey
from schemas.sealed import Key
from topology.engine.errors import Misconfigured, Retriable
from topology.partitioner import partition_of
from topology.privacy.errors import Erased, as_ours
from topology.privacy.ports import Held, Log, View

REMEMBERED = 10_000
"""Keys in memory, at most."""
REMEMBERED_S = 30.0
"""And for how long: as long a program may use a key that has been shredded."""
ANNOUNCED_S = 2.0
"""How long another program's announcement is waited for before it counts as dead."""
_TRIES = 20
_CHUNK = 2_000
"""Records that the view takes in at one moment."""
_AGAIN_S = 0.05


def now_ms() -> Millis:
    """UTC milliseconds."""
    return Millis(time.time_ns() // 1_000_000)


class _Remembered(NamedTuple):
    until: float
    key: Key


class SubjectKeys:
    """The users' keys. Used from one thread."""

    def __init__(self, log: Log, view: View, codec: Codec, keks: Mapping[str, bytes], *, topic: str) -> None:
        """`keks` are the key-encryption keys, the one that wraps first; `topic` the users' keys' on the cluster."""
        self._log = log
        self._view = view
        self._codec = codec
        self._keks = keks
        self._topic = topic
        self._wrapping: dict[str, Key] = {}
        self._newest: Key | None = None
        self._kept: OrderedDict[str, _Remembered] = OrderedDict()

    def prepare(self) -> None:
        """At start: the keys that wrap must be at hand, or none of what is sealed later could ever be read.

        Raises:
            Retriable: Kafka or the registry does not answer now.
            Misconfigured: they are wrapped by a key-encryption key that this process does not have.
        """
        self._wrapping_key()

    def for_sealing(self, users: Iterable[str]) -> dict[str, Key]:
        """The key of each user, made if there is none.

        Raises:
            Retriable: Kafka, Redis or the registry does not answer now.
            Misconfigured: a key is wrapped by one that this process does not have.
        """
        found: dict[str, Key] = {}
        missing: dict[int, list[str]] = {}
        for user in dict.fromkeys(users):
            key = self._remembered(user)
            if key is None:
                missing.setdefault(self.partition(user), []).append(user)
            else:
                found[user] = key
        for partition, names in missing.items():
            held = self._view.get(partition, [name.encode() for name in names])
            have = {name: each for name, each in zip(names, held, strict=True) if each is not None and each.confirmed}
            new = [name for name in names if name not in have]
            have |= self._make(partition, new) if new else {}
            for name, each in have.items():
                found[name] = self._keep(name, self._unwrapped(self._record(name, each)))
        return found

    def for_reading(self, user: str, key_id: str) -> Key:
        """The user's key of this name.

        Raises:
            Erased: it has been shredded.
            Retriable: Kafka, Redis or the registry does not answer now.
            Misconfigured: it is wrapped by one that this process does not have.
        """
        kept = self._remembered(user)
        if kept is not None and kept.key_id == key_id:
            return kept
        partition = self.partition(user)
        for up_to_date in (False, True):
            if up_to_date:
                self.catch_up([partition])
            [held] = self._view.get(partition, [user.encode()])
            if held is not None:
                record = self._record(user, held)
                if record.key_id == key_id:
                    return self._keep(user, self._unwrapped(record))
        raise Erased(f"the key {key_id} of this text is gone: its user was erased, and nobody can ever read it again")

    def find(self, user: str) -> SubjectKey | None:
        """What the topic has of the user now."""
        partition = self.partition(user)
        self.catch_up([partition])
        [held] = self._view.get(partition, [user.encode()])
        return None if held is None or not held.confirmed else self._record(user, held)

    def shred(self, user: str) -> bool:
        """Shred the key of what is no user (theirs are shredded by the fold); False: there is none."""
        if self.find(user) is None:
            return False
        self._log.write([(user.encode(), None)])
        self.catch_up([self.partition(user)])
        return True

    def partition(self, user: str) -> int:
        """Of the topic."""
        return partition_of(user.encode(), self._log.partitions)

    def catch_up(self, partitions: Iterable[int] | None = None) -> int:
        """Bring the view to where the topic ends now; all partitions by default.

        Returns:
            How many records were taken in.
        """
        wanted = list(range(self._log.partitions) if partitions is None else partitions)
        bounds = self._log.bounds(wanted)
        reached = self._view.reached(wanted)
        taken = 0
        for partition in wanted:
            start, end = bounds[partition]
            at = reached[partition]
            if at is not None and at > end:
                at = None  # the topic has been made anew since
            if at is None or at < end:
                taken += self._catch_up(partition, at, start, end)
        return taken

    def _catch_up(self, partition: int, at: int | None, start: int, end: int) -> int:
        taken = 0
        for _ in range(_TRIES):
            if at is None:
                self._view.forget(partition)
            got = self._read_into(partition, at, start, end)
            taken += max(got, 0)
            if got >= 0:
                return taken
            at = self._view.reached([partition])[partition]  # somebody else brings it up too
            if at is not None and at >= end:
                return taken
        raise Retriable(f"{self._topic}[{partition}]: so many bring its view up to date that none gets there")

    def _read_into(self, partition: int, at: int | None, start: int, end: int) -> int:
        """Read on from where the view is; how many records it took, or -1: it is somewhere else by now."""
        taken, chunk = 0, []
        first = max(at or 0, start)
        for _, logged in self._log.between({partition: (first, end)} if first < end else {}):
            chunk.append((logged.key, logged.value))
            if len(chunk) >= _CHUNK:
                if not self._view.take(partition, at, logged.offset + 1, chunk):
                    return -1
                taken, at, chunk = taken + len(chunk), logged.offset + 1, []
        return taken + len(chunk) if self._view.take(partition, at, end, chunk) else -1

    def _make(self, partition: int, users: list[str]) -> dict[str, Held]:
        """Steps 1 to 4 for users of one partition."""
        wrap = self._wrapping_key()
        with as_ours():
            made = [wrapped.wrap_subject(wrapped.new_key(), user, wrap, now_ms()) for user in users]
        mine: dict[str, bytes] = {record.user_id: self._encoded(record) for record in made}
        announced = self._announce(partition, mine)
        waited_until = time.monotonic() + ANNOUNCED_S
        written: dict[str, bytes] = {}
        while True:
            dead = time.monotonic() >= waited_until
            # Each once: written again after a tombstone, it would come back to life.
            write = {
                user: held.value
                for user, held in announced.items()
                if not held.confirmed and (held.value == mine[user] or dead) and written.get(user) != held.value
            }
            written |= write
            self._log.write((user.encode(), value) for user, value in write.items())
            self.catch_up([partition])
            now = self._look(partition, users)
            lost = [user for user in users if now[user] is None]
            if lost and not dead:  # shredded at this very moment, or never written by whoever announced it
                announced |= self._announce(partition, {user: mine[user] for user in lost})
                continue
            if dead or all(each is not None and each.confirmed for each in now.values()):
                break
            time.sleep(_AGAIN_S)
        have = {user: each for user, each in now.items() if each is not None and each.confirmed}
        if len(have) < len(users):
            raise Retriable(f"{self._topic}[{partition}]: keys that were announced have not come")
        # Compaction keeps the newest record of a user: what counts must be that one.
        self._log.write(
            (user.encode(), each.value) for user, each in have.items() if written.get(user, each.value) != each.value
        )
        return have

    def _announce(self, partition: int, mine: Mapping[str, bytes]) -> dict[str, Held]:
        for _ in range(_TRIES):
            self.catch_up([partition])
            reached = self._view.reached([partition])[partition]
            changes = [(user.encode(), value) for user, value in mine.items()]
            held = None if reached is None else self._view.claim(partition, reached, changes)
            if held is not None:
                return dict(zip(mine, held, strict=True))
        raise Retriable(f"{self._topic}[{partition}]: its view is lost again and again")

    def _look(self, partition: int, users: list[str]) -> dict[str, Held | None]:
        return dict(zip(users, self._view.get(partition, [user.encode() for user in users]), strict=True))

    def _wrapping_key(self) -> Key:
        """The newest wrapping key; the first program of an installation makes one."""
        if self._newest is not None:
            return self._newest
        records = self._log.wrapping_keys()
        if not records:
            if not self._keks:
                raise Misconfigured("no key-encryption key is set: see RECOURSE_KEK")
            kek_id, kek = next(iter(self._keks.items()))
            with as_ours():
                records = [wrapped.wrap_wrapping(wrapped.new_key(), kek_id, kek, now_ms())]
            self._log.write_wrapping(records)
        newest = max(records, key=lambda record: (record.created_at, record.wrapping_id))
        with as_ours():
            self._newest = self._wrapping[newest.wrapping_id] = wrapped.unwrap_wrapping(newest, self._keks)
        return self._newest

    def _unwrapped(self, record: SubjectKey) -> Key:
        wrap = self._wrapping.get(record.wrapped_by)
        if wrap is None:
            found = [each for each in self._log.wrapping_keys() if each.wrapping_id == record.wrapped_by]
            if not found:
                raise Misconfigured(f"the key of a user is wrapped by {record.wrapped_by}, which no topic has")
            with as_ours():
                wrap = self._wrapping[record.wrapped_by] = wrapped.unwrap_wrapping(found[0], self._keks)
        with as_ours():
            return wrapped.unwrap_subject(record, wrap)

    def _encoded(self, record: SubjectKey) -> bytes:
        try:
            return self._codec.encode(record, self._topic)
        except (EncodeError, SchemaNotFoundError) as exc:
            raise Misconfigured(f"a user's key cannot be written: {exc}") from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc

    def _record(self, user: str, held: Held) -> SubjectKey:
        try:
            record = self._codec.decode(held.value, frozenset({SubjectKey}))
        except DecodeError as exc:
            raise Misconfigured(f"a record of {self._topic} cannot be read: {exc}") from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc
        if not isinstance(record, SubjectKey) or record.user_id != user:
            raise Misconfigured(f"a record of {self._topic} is not of the user that it is keyed by")
        return record

    def _remembered(self, user: str) -> Key | None:
        kept = self._kept.get(user)
        if kept is None or kept.until < time.monotonic():
            self._kept.pop(user, None)
            return None
        return kept.key

    def _keep(self, user: str, key: Key) -> Key:
        self._kept[user] = _Remembered(time.monotonic() + REMEMBERED_S, key)
        self._kept.move_to_end(user)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        return key
