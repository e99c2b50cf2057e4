"""What an operator tells a reversal: to be sent again, or that a directive is true by their word."""

from __future__ import annotations

from processors.ids import uuid5
from schemas.records import DirectiveResolved, Millis, ReversalRetried, ReviewerId
from schemas.vocabulary import DirectiveState
from topology.engine.errors import Misconfigured
from topology.reversals.life import DirectiveLife, ReversalLife
from topology.reversals.words import at


def retried(life: ReversalLife, *, actor: str, reason: str, directive_id: str | None, now_ms: int) -> ReversalRetried:
    """Have open directives sent again.

    Raises:
        Misconfigured: nothing of it can be sent again.
    """
    _refuse_confirmed(life)
    if directive_id is not None:
        _open_directive(life, directive_id)
    order = life.order
    return ReversalRetried(
        event_id=_event_id("reversal-retried", life, actor, reason, directive_id or ""),
        user_id=order.user_id,
        reversal_id=order.reversal_id,
        actor=ReviewerId(actor),
        occurred_at=Millis(now_ms),
        reason=reason,
        directive_id=directive_id,
    )


def resolved(life: ReversalLife, directive_id: str, *, actor: str, reason: str, now_ms: int) -> DirectiveResolved:
    """Vouch that what a directive asks for is true.

    Raises:
        Misconfigured: the directive is not open.
    """
    _refuse_confirmed(life)
    _open_directive(life, directive_id)
    order = life.order
    return DirectiveResolved(
        event_id=_event_id("directive-resolved", life, actor, reason, directive_id),
        user_id=order.user_id,
        reversal_id=order.reversal_id,
        directive_id=directive_id,
        actor=ReviewerId(actor),
        occurred_at=Millis(now_ms),
        reason=reason,
    )


def _event_id(kind: str, life: ReversalLife, *said: str) -> str:
    """The same for the same words while nothing has happened to the reversal: typed twice, it is one command."""
    seen = ",".join(f"{key}={one.state}*{len(one.sent)}" for key, one in sorted(life.directives.items()))
    return uuid5("\x1f".join((kind, life.order.reversal_id, *said, str(life.order.attempt), seen)))


def _refuse_confirmed(life: ReversalLife) -> None:
    if life.confirmed is not None:
        raise Misconfigured(
            f"reversal {life.order.reversal_id} was confirmed {at(life.confirmed.confirmed_at)}: nothing of it is "
            "open. Nothing was written."
        )


def _open_directive(life: ReversalLife, directive_id: str) -> DirectiveLife:
    one = life.directives.get(directive_id)
    if one is None:
        known = ", ".join(key for key, of in life.directives.items() if of.is_open) or "none"
        raise Misconfigured(
            f"reversal {life.order.reversal_id} has no directive {directive_id}; open are: {known}. "
            "Nothing was written."
        )
    if one.is_open:
        return one
    if one.state is DirectiveState.SUPERSEDED:
        raise Misconfigured(
            f"directive {directive_id} is superseded by {one.superseded_by or 'another'}: that one counts. "
            "Nothing was written."
        )
    raise Misconfigured(f"directive {directive_id} is applied already. Nothing was written.")
