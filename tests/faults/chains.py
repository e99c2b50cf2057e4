"""The audit's chain, computed again from the bytes of the lines alone: apart from the code that made or verifies it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

import msgspec

from schemas import records as r
from tests.integration.reversal_checker import Fault


def chain_faults(lines: Iterable[r.CaseEvent]) -> Iterator[Fault]:
    """Each line has the hash of what it says, and names the hash of the user's line before it (docs/audit.md)."""
    newest: dict[str, str | None] = {}
    for line in lines:
        told = msgspec.to_builtins(line)
        claimed = told.pop("hash", None)
        form = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if claimed != hashlib.sha256(form.encode()).hexdigest():
            yield Fault("line_altered", f"{line.user_id}: line {line.seq}")
        if line.prev_hash != newest.get(line.user_id):
            yield Fault("chain_broken", f"{line.user_id}: line {line.seq} does not follow the one before")
        newest[line.user_id] = claimed
