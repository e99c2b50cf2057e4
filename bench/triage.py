"""The small triage step that all contenders do: the same function, the same bytes in and out.

`decode` and `encode` do it field by field with fastavro, as most teams would. `read` and `write` take out only what
the step looks at and pass the rest on as bytes, which is what an application of the engine does with
`schemas.projection`; a test compares the bytes of both.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro

from bench.workload import SMALL_APPEAL
from schemas.nodes import parse
from schemas.projection import compile_projection, compile_splice

TRIAGED = fastavro.parse_schema(
    {
        "type": "record",
        "name": "bench.Triaged",
        "fields": [
            {"name": "appeal_id", "type": "string"},
            {"name": "user_id", "type": "string"},
            {"name": "score", "type": "int"},
            {"name": "pod", "type": "string"},
            {"name": "rank_at", "type": "long"},
            {"name": "appeals_before", "type": "long"},
            {"name": "statement_ref", "type": "string"},
        ],
    }
)
_SEVERITY = {"warning": 1, "content_removal": 3, "payout_hold": 6, "suspension": 7, "ban": 9}
_POD = {"payout_hold": "payments", "suspension": "accounts", "ban": "accounts"}


def decode(value: bytes | None) -> dict[str, Any]:
    """Avro bytes to an appeal."""
    appeal = fastavro.schemaless_reader(BytesIO(value or b""), SMALL_APPEAL, None)
    if not isinstance(appeal, dict):
        raise TypeError("an appeal is a record")
    return appeal


def triage(appeals: int, cents: int, appeal: dict[str, Any]) -> tuple[int, int, dict[str, Any]]:
    """Join with the user's history, score, choose a pod.

    Args:
        appeals: how many appeals this user handed in before.
        cents: what was at stake in them.
        appeal: the new one.

    Returns:
        The two counters of the history afterwards, and the triaged case.
    """
    score, pod, rank_at = judge(appeals, appeal["action"], appeal["amount_cents"], appeal["submitted_at"])
    case = {
        "appeal_id": appeal["appeal_id"],
        "user_id": appeal["user_id"],
        "score": score,
        "pod": pod,
        "rank_at": rank_at,
        "appeals_before": appeals,
        "statement_ref": appeal["statement_ref"],
    }
    return appeals + 1, cents + appeal["amount_cents"], case


def judge(appeals: int, action: str, amount_cents: int, submitted_at: int) -> tuple[int, str, int]:
    """Score (0 to 1,000), pod, and the time (UTC ms) that the case is ranked by."""
    impact = min(300, amount_cents // 1_000)
    score = max(0, min(1_000, 60 * _SEVERITY[action] + impact - min(100, 5 * appeals)))
    return score, _POD.get(action, "general"), submitted_at + (1_000 - score) * 60_000


def encode(case: dict[str, Any]) -> bytes:
    """A triaged case to Avro bytes."""
    out = BytesIO()
    fastavro.schemaless_writer(out, TRIAGED, case)
    return out.getvalue()


_CARRIED = ("appeal_id", "user_id", "statement_ref")
read = compile_projection(
    parse(SMALL_APPEAL), read=("user_id", "action", "amount_cents", "submitted_at"), carry=_CARRIED
)
"""(bytes, position 0) to user, action, cents, time of submission, and the bytes of what is carried over."""
write = compile_splice(parse(TRIAGED), _CARRIED)
"""The fields of a triaged case, in order, to bytes."""
