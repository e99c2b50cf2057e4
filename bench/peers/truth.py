"""What must come out: the same cases byte for byte and the same histories, whoever did the work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from bench import triage, workload
from bench.peers.registry import Contender, Run, clients
from bench.verify import committed

_MODULUS = 1 << 64


class WrongResultError(Exception):
    """A contender lost, doubled or changed something: its figures are worth nothing."""


class Truth:
    """Of the appeals that went through it."""

    def __init__(self, *, triaged: bool = True) -> None:
        """`triaged` False: what comes out is what went in."""
        self.events = 0
        self.cents = 0
        self._triaged = triaged
        self._digest = 0
        self._appeals: dict[str, int] = {}

    def passing(self, rows: Iterable[workload.Row]) -> Iterator[workload.Row]:
        """Gives the rows on, in the order in which their topic has them."""
        for row in rows:
            _, key, value, _ = row
            self.events += 1
            if self._triaged:
                appeal = triage.decode(value)
                user = appeal["user_id"]
                before = self._appeals.get(user, 0)
                self._appeals[user], _, case = triage.triage(before, 0, appeal)
                self.cents += appeal["amount_cents"]
                value = triage.encode(case)
            self._digest += _digest(key, value)
            yield row

    def check(self, contender: Contender, run: Run) -> None:
        """Compare with what the contender left on its topic and in its histories.

        Raises:
            WrongResultError: they differ; the text says in what.
        """
        cases = digest = 0
        for message in committed(clients(run.kafka), run.prefix + contender.cases):
            cases += 1
            digest += _digest(message.key() or b"", message.value() or b"")
        found: dict[str, Any] = {"cases": cases, "digest": digest % _MODULUS}
        wanted: dict[str, Any] = {"cases": self.events, "digest": self._digest % _MODULUS}
        if contender.histories is not None:
            users = appeals = cents = 0
            for its_appeals, its_cents in contender.histories(run):
                users, appeals, cents = users + 1, appeals + its_appeals, cents + its_cents
            found |= {"users": users, "appeals": appeals, "cents": cents}
            wanted |= {"users": len(self._appeals), "appeals": self.events, "cents": self.cents}
        if found != wanted:
            raise WrongResultError(f"{contender.name}: {found}, and it should be {wanted}")


def _digest(key: bytes, value: bytes) -> int:
    """Of a record; a topic's is the sum, whatever the order between partitions."""
    hashed = hashlib.blake2b(value, digest_size=8, key=key[:64])
    return int.from_bytes(hashed.digest())
