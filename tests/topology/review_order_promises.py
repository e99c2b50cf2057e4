"""What must hold of the orders of reversals: `ON_EACH_LINE`, asked with the lines of the same cause."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from schemas.records import CaseEvent, Directive, ReversalOrdered
from schemas.vocabulary import CaseEventKind, EffectKind, Operation, Outcome, ReversalCause
from tests.topology.review_history import History, broken, some
from tests.topology.review_standing import HARDNESS, MONEY, NOTHING, Filed, harder_in
from tests.topology.review_undoing import Stage, Undoing, same_reversal

Kind = CaseEventKind
_ABOUT_ONE = (
    Kind.REVERSAL_ORDERED,
    Kind.DIRECTIVE_APPLIED,
    Kind.DIRECTIVE_FAILED,
    Kind.DIRECTIVE_RESOLVED,
    Kind.DIRECTIVE_SUPERSEDED,
    Kind.REVERSAL_RETRIED,
    Kind.REVERSAL_STALLED,
    Kind.REVERSAL_CONFIRMED,
)
_STATES = (Operation.RESTORE, Operation.RELEASE)
_SAME = (
    "idempotency_key",
    "system",
    "operation",
    "target",
    "effect_id",
    "params",
    "amount",
    "strikes_kept",
    "supersedes",
)


def order_of(h: History, line: CaseEvent) -> ReversalOrdered:
    """The record that a line about an order tells of."""
    return h.undone.orders[line.saw["reversal_id"], int(line.saw["attempt"])]


def each_line_is_about_a_running_reversal(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Nothing is said of a reversal before it is ordered or after it is confirmed."""
    if line.kind not in _ABOUT_ONE:
        return
    undoing = h.undone.of(line)
    first = line.kind is Kind.REVERSAL_ORDERED and line.saw["attempt"] == "1"
    if (undoing is None) != first or (undoing is not None and undoing.confirmed):
        raise broken(h, line.user_id, f"{line.kind} of {line.saw['reversal_id']}, which is {undoing}")


def each_order_is_the_next_one(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Attempts count from 1 without a gap, and the revision rises over all that a user's systems are told."""
    if line.kind is not Kind.REVERSAL_ORDERED:
        return
    order, undoing = order_of(h, line), h.undone.of(line)
    before = 0 if undoing is None else undoing.attempt
    if order.attempt != before + 1:
        raise broken(h, line.user_id, f"{order.reversal_id}: attempt {order.attempt} after {before}")
    late = [d.revision for d in order.directives if d.revision <= h.undone.revision[line.user_id]]
    if late or len({d.revision for d in order.directives}) > 1:
        text = f"revisions {[d.revision for d in order.directives]} after {h.undone.revision[line.user_id]}"
        raise broken(h, line.user_id, f"{order.reversal_id}: {text}")


def a_version_is_overturned_once(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Whoever decides, and whatever follows from what: no version of an enforcement is undone twice."""
    if line.kind is not Kind.REVERSAL_ORDERED or line.saw["attempt"] != "1":
        return
    order = order_of(h, line)
    what = (order.enforcement_id, order.enforcement_version)
    if what in h.undone.overturned:
        raise broken(h, line.user_id, f"{what} is undone by {order.reversal_id} and {h.undone.overturned[what]}")


def a_first_order_undoes_each_effect(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """One directive for each effect of the enforcement, by the operation that undoes it, and none for anything else."""
    if line.kind is not Kind.REVERSAL_ORDERED or line.saw["attempt"] != "1":
        return
    order, filed = order_of(h, line), h.undone.filed(line)
    if order.enforcement_version != filed.now.version:
        raise broken(h, line.user_id, f"version {order.enforcement_version} undone, {filed.now.version} is in force")
    given = {d.effect_id: d for d in order.directives}
    modified = order.outcome is Outcome.MODIFIED
    for effect in filed.effects().values():
        directive = given.pop(effect.effect_id, None)
        wanted = _operations(filed, effect.kind, modified=modified)
        if (None if directive is None else directive.operation) not in wanted:
            raise broken(h, line.user_id, f"{effect.effect_id} of {order.reversal_id}: {directive}, not {wanted}")
    if given or len({d.effect_id for d in order.directives}) != len(order.directives):
        raise broken(h, line.user_id, f"{order.reversal_id} undoes what was never done: {some(given)}")


def _operations(filed: Filed, kind: EffectKind, *, modified: bool) -> tuple[Operation | None, ...]:
    """The operations that can undo it; none: there may be nothing to undo."""
    if kind is EffectKind.STRIKES:
        left = (filed.had or (None, 0))[1] if filed.now.strikes else 1
        kept = 0 if filed.lesser is None or not modified else filed.lesser.strikes
        return (Operation.EXPUNGE,) if left > kept else (None,)
    if kind is EffectKind.MONEY_TAKEN:
        return (Operation.REPAY, None)
    if kind is EffectKind.PAYOUT_STATUS:
        return (Operation.RELEASE, Operation.RESTORE)  # with nothing to release, the hold ends or changes all the same
    return (Operation.RESTORE,)


def money_goes_back_once_and_whole(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Per effect never more than was taken, in its currency; together all that is still owed, less what stays."""
    if line.kind is not Kind.REVERSAL_ORDERED or line.saw["attempt"] != "1":
        return
    order, filed = order_of(h, line), h.undone.filed(line)
    back: Counter[str] = Counter()
    for directive in order.directives:
        if directive.amount is None:
            continue
        effect = filed.effects()[directive.effect_id]
        taken = filed.taken(effect) if effect.kind in MONEY else None
        total = filed.returned.get(directive.effect_id, NOTHING) + directive.amount.value
        if taken is None or directive.amount.currency != taken.currency or not NOTHING < total <= taken.value:
            raise broken(h, line.user_id, f"{directive.amount} back, {total} in all, of {taken}")
        back[taken.currency] += directive.amount.value  # type: ignore[assignment] - a sum of decimals
    if filed.muddled:
        return
    owed: dict[str, Decimal] = filed.owed()
    kept = filed.lesser.amount if order.outcome is Outcome.MODIFIED and filed.lesser is not None else None
    if kept is not None and kept.currency in owed:
        owed[kept.currency] -= kept.value
    if {key: value for key, value in owed.items() if value} != dict(back):
        raise broken(h, line.user_id, f"{order.reversal_id} gives back {dict(back)} of {owed}, {kept} stays")


def strikes_are_expunged(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """As many stay as the decision says, and the order tells how many are left on the user's record."""
    if line.kind is not Kind.REVERSAL_ORDERED:
        return
    order, filed = order_of(h, line), h.undone.filed(line)
    if order.strikes_left != h.undone.standing[line.user_id].strikes:
        text = f"{order.strikes_left} strikes told, {h.undone.standing[line.user_id].strikes} are left"
        raise broken(h, line.user_id, f"{order.reversal_id}: {text}")
    if order.attempt > 1:
        return
    lesser = filed.lesser if order.outcome is Outcome.MODIFIED else None
    kept = 0 if lesser is None else lesser.strikes
    before = 0 if filed.had is None else filed.had[1]
    if order.strikes_expunged != before - filed.strikes or order.lesser != lesser:
        text = f"{order.strikes_expunged} expunged, {before} before, {filed.strikes} now, lesser {order.lesser}"
        raise broken(h, line.user_id, f"{order.reversal_id}: {text}, decided {lesser}")
    for directive in order.directives:
        if directive.strikes_kept != (kept if directive.operation is Operation.EXPUNGE else None):
            raise broken(h, line.user_id, f"{directive.strikes_kept} strikes kept by {directive}, not {kept}")


def a_directive_tells_what_survives(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """The state is the union of what survives at that moment and bears on the effect, hardest first, nothing twice."""
    if line.kind is not Kind.REVERSAL_ORDERED:
        return
    order, filed = order_of(h, line), h.undone.filed(line)
    undoing = h.undone.of(line)
    kinds = {e.effect_id: e.kind for e in filed.effects().values()} if undoing is None else undoing.kinds
    for directive in order.directives:
        if directive.operation in _STATES:
            right_state(h, line.user_id, directive, kinds[directive.effect_id], line.occurred_at)
        elif directive.state:
            raise broken(h, line.user_id, f"{directive.operation} with a state: {directive}")
        survive = {one.key for one in h.undone.standing[line.user_id].survivors(directive.target, line.occurred_at)}
        if {one.enforcement_id for one in directive.surviving} != survive:
            raise broken(h, line.user_id, f"surviving {directive.surviving}, not {survive}")
        ladder = [HARDNESS[one.action] for one in directive.state]
        if ladder != sorted(ladder, reverse=True) or len(set(directive.state)) != len(directive.state):
            raise broken(h, line.user_id, f"state {directive.state}")


def right_state(h: History, user: str, directive: Directive, kind: EffectKind, at: int) -> None:
    """The directive tells what survives at this moment, what has run out by itself left aside."""
    told = {one for one in directive.state if one.ends_at is None or one.ends_at > at}
    wanted = h.undone.standing[user].state(kind, directive.target, at)
    if told != wanted:
        text = f"{directive.directive_id} ({kind}) tells {some(told)}"
        raise broken(h, user, f"{text}\nwhat survives is {some(wanted)}")


def a_resend_is_the_same(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """What is sent again has its key and its amount, and is still open; what is new takes the place of an old one."""
    undoing = h.undone.of(line)
    if line.kind is not Kind.REVERSAL_ORDERED or undoing is None:
        return
    for directive in order_of(h, line).directives:
        earlier = undoing.told.get(directive.directive_id)
        if earlier is None:
            beside = directive.operation is Operation.RESTORE and _released(undoing, directive.effect_id)
            if directive.supersedes is None and beside:
                continue  # a release keeps its key and its money: what must hold by now is told beside it
            if undoing.successor.get(str(directive.supersedes)) != directive.directive_id:
                raise broken(h, line.user_id, f"nothing is superseded by {directive}")
        elif undoing.stage[directive.directive_id] is not Stage.SENT:
            raise broken(h, line.user_id, f"{undoing.stage[directive.directive_id]} and sent again: {directive}")
        elif any(getattr(directive, name) != getattr(earlier, name) for name in _SAME):
            raise broken(h, line.user_id, f"sent again otherwise: {directive}\nbefore: {earlier}")


def _released(undoing: Undoing, effect_id: str) -> bool:
    """Whether money of this effect is released, and nothing else about it is open."""
    about = [d for d in undoing.told.values() if d.effect_id == effect_id]
    restoring = [d for d in about if d.operation is Operation.RESTORE]
    open_already = any(undoing.stage[d.directive_id] is Stage.SENT for d in restoring)
    return len(restoring) < len(about) and not open_already


def what_is_superseded_has_one_successor(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """Only an open directive about a state that has changed, once, by a new key in the next order of its reversal."""
    if line.kind is not Kind.DIRECTIVE_SUPERSEDED:
        return
    undoing = h.undone.of(line)
    assert undoing is not None
    old, new = line.saw["directive_id"], line.saw["by"]
    order = next(
        (
            order_of(h, one)
            for one in group
            if one.seq > line.seq and one.kind is Kind.REVERSAL_ORDERED and same_reversal(one, line)
        ),
        None,
    )
    sent = [] if order is None else [d for d in order.directives if d.supersedes == old]
    before = undoing.told.get(old)
    # What had failed for good was not kept up to date: it may be late when its system applies it after all.
    late = (Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_RESOLVED)
    applied = any(one.kind in late and old in one.saw.values() and one.seq < line.seq for one in group)
    open_still = undoing.stage.get(old) is (Stage.APPLIED if applied else Stage.SENT)
    if before is None or not open_still or new in undoing.told:
        raise broken(h, line.user_id, f"{old} ({undoing.stage.get(old)}) superseded by {new}")
    if [d.directive_id for d in sent] != [new] or sent[0].revision <= before.revision:
        raise broken(h, line.user_id, f"{old} superseded by {new}, then sent: {sent}")
    if sent[0].operation is not Operation.RESTORE or sent[0].effect_id != before.effect_id:
        raise broken(h, line.user_id, f"{before} superseded by {sent[0]}")
    if {one for one in before.state if one.ends_at is None or one.ends_at > line.occurred_at} == set(sent[0].state):
        raise broken(h, line.user_id, f"{old} superseded by {new}, which says the same")


def a_decision_leaves_what_is_milder(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Harder in no respect than what was in force, and less in one."""
    if line.kind is not Kind.CASE_DECIDED or line.outcome is not Outcome.MODIFIED:
        return
    filed = h.undone.filed(line)
    assert filed.had is not None
    assert filed.lesser is not None
    fault = harder_in(filed.lesser, *filed.had, filed.owed())
    if fault is not None and not (filed.muddled and fault in ("money", "nothing")):
        raise broken(h, line.user_id, f"modified to {filed.lesser} from {filed.had}: {fault}")


def decisions_are_carried_out(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """What is overturned or modified is ordered to be undone at once, for that reason."""
    if line.kind is not Kind.CASE_DECIDED or line.outcome not in (Outcome.OVERTURNED, Outcome.MODIFIED):
        return
    orders = [order_of(h, one) for one in group if one.kind is Kind.REVERSAL_ORDERED and one.case_id == line.case_id]
    cause = ReversalCause.CASCADE if line.reason == "consequence" else ReversalCause.DECISION
    if [(o.outcome, o.cause, o.attempt) for o in orders[:1]] != [(line.outcome, cause, 1)]:
        raise broken(h, line.user_id, f"{line.case_id} was {line.outcome}, then ordered: {orders}")


ON_EACH_LINE = (
    each_line_is_about_a_running_reversal,
    each_order_is_the_next_one,
    a_version_is_overturned_once,
    a_first_order_undoes_each_effect,
    money_goes_back_once_and_whole,
    strikes_are_expunged,
    a_directive_tells_what_survives,
    a_resend_is_the_same,
    what_is_superseded_has_one_successor,
    a_decision_leaves_what_is_milder,
    decisions_are_carried_out,
)
