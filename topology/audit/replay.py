"""Folds a user's life again from the inputs and the audit, and compares line by line.

The audit tells what the inputs do not: how the topics interleaved (`folded`), when each input was folded that wrote a
line (`occurred_at`), which timers fired when (`timer:` in `cause_id`), which remedies reached the user (`remedy:`), and
by which rulebook. Inputs that wrote no line
are folded in the order of the topics as far as the next line's counts say, at the time of their record, which lies
between the lines around them; the fold promises that neither shows (`processors/fold.py`).

By which rulebook such an input was folded is not told where the lines around it have different ones. It is folded by
the later; where the earlier would leave another dossier, the record does not decide between them, and a difference that
comes after says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from processors.dossier import Dossier
from processors.fold import decode_dossier, encode_dossier, handle, new_dossier
from processors.remedying import REMEDY
from processors.rulebook import Rulebook
from processors.timers import reschedule
from schemas.records import CaseEvent, InputRecord, RemedyOrdered, ReviewerId, TimerFired
from topology.audit.context import ReplayContext
from topology.audit.lines import Place
from topology.rulebooks import RulebookNotKept

TIMER = "timer:"
"""Start of `cause_id` of a line that a timer wrote."""

_TOPICS = ("enforcement systems", "appellants", "reviewers", "systems that answer directives")
"""Whose inputs `folded` counts, in its order."""


@dataclass(frozen=True, slots=True)
class Input:
    """A record that was folded."""

    place: Place
    record: InputRecord
    at: int
    """Timestamp of its record, UTC ms."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the life that was folded again leaves the audit."""

    seq: int
    text: str
    audit: CaseEvent | None = None
    """The line as it was written; None: replay writes one more."""
    replayed: CaseEvent | None = None
    """The line as it comes out now; None: none does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a life came out as the audit has it."""

    lines: int
    """Lines that came out identical, from the first on."""
    inputs: int
    rulebooks: int
    difference: Difference | None


class _DiffersError(Exception):
    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.text)
        self.difference = difference


def replay(
    user_id: str,
    lines: Sequence[CaseEvent],
    inputs: Sequence[Sequence[Input]],
    rulebook: Callable[[str], Rulebook],
) -> Outcome:
    """Fold a user's life again, up to the last line.

    Args:
        user_id: whose life it is.
        lines: all of this user's audit, in the order of the topic.
        inputs: by topic, as `folded` counts them, each topic's in its order, without those that became dead letters.
        rulebook: digest to rulebook; raises `RulebookNotKept`.
    """
    life = _Life(user_id, inputs, rulebook)
    done = 0
    difference = None
    try:
        while done < len(lines):
            for line in life.up_to(lines, done):
                _compare(done + 1, lines[done] if done < len(lines) else None, line)
                done += 1
    except _DiffersError as exc:
        difference = exc.difference
        if life.undecided is not None:
            difference = replace(difference, text=f"{difference.text}; {life.undecided}")
    return Outcome(done, sum(life.folded), len(life.digests), difference)


def _compare(seq: int, audit: CaseEvent | None, replayed: CaseEvent) -> None:
    if audit is None:
        raise _DiffersError(Difference(seq, "replay writes a line after the last one of the audit", None, replayed))
    if audit != replayed:  # all fields, `hash` among them: a changed line may still carry its old hash
        raise _DiffersError(Difference(seq, "the line differs", audit, replayed))


class _Life:
    def __init__(self, user_id: str, inputs: Sequence[Sequence[Input]], rulebook: Callable[[str], Rulebook]) -> None:
        self.folded = [0] * len(inputs)
        self.digests: set[str] = set()
        self.undecided: str | None = None
        """What the record does not tell and the dossier hangs on, the first of it; none: nothing."""
        self._earlier: Rulebook | None = None
        """By which the line before was written."""
        self._inputs = inputs
        self._rulebook = rulebook
        self._dossier: Dossier = new_dossier(user_id)
        self._ctx: ReplayContext | None = None

    def up_to(self, lines: Sequence[CaseEvent], at: int) -> list[CaseEvent]:
        """Fold what leads to the line at this position; all lines that are written by it, at least one.

        Raises:
            _DiffersError: nothing leads to this line, or no line is written.
        """
        line = lines[at]
        ctx = self._expect(lines, at)
        missing = self._not_there(line)
        cause = None
        if not line.cause_id.startswith((TIMER, REMEDY)):
            cause = self._cause(line)
            if cause is None:
                missing = missing or f"no input that could have caused it is left: {line.cause_id}"
        if missing:
            raise _DiffersError(Difference(line.seq, missing, line))
        for topic, count in enumerate(line.folded):
            while self.folded[topic] < count - (topic == cause):
                self._silent(ctx, topic, line)
        if cause is None and line.cause_id.startswith(REMEDY):
            self._remedy(ctx, line)
        elif cause is None:
            self._timer(ctx, line)
        else:
            self._input(ctx, cause, line.occurred_at, line)
        if not ctx.lines:
            raise _DiffersError(Difference(line.seq, "nothing writes this line again", line))
        self._earlier = ctx.rulebook
        return ctx.lines

    def _expect(self, lines: Sequence[CaseEvent], at: int) -> ReplayContext:
        line = lines[at]
        try:
            book = self._rulebook(line.rulebook_digest)
        except RulebookNotKept as exc:
            raise _DiffersError(Difference(line.seq, str(exc), line)) from exc
        self.digests.add(line.rulebook_digest)
        ctx = self._ctx
        if ctx is None:
            ctx = self._ctx = ReplayContext(book)
        ctx.expect(lines, at, book)
        return ctx

    def _not_there(self, line: CaseEvent) -> str | None:
        """What the line counts and the topics do not have."""
        if len(line.folded) != len(self.folded):
            return "it does not count the inputs before it: written before lines did, so it cannot be folded again"
        for topic, count in enumerate(line.folded):
            have = self._inputs[topic]
            if count > len(have):
                return f"it counts {count} inputs of {_TOPICS[topic]}, and there are {len(have)}"
            if count < self.folded[topic]:
                return f"it counts fewer inputs of {_TOPICS[topic]} than a line before it"
        return None

    def _cause(self, line: CaseEvent) -> int | None:
        """The topic whose next inputs end with the one that caused the line."""
        for topic, count in enumerate(line.folded[: len(self.folded)]):
            have = self._inputs[topic]
            if self.folded[topic] < count <= len(have) and have[count - 1].record.event_id == line.cause_id:
                return topic
        return None

    def _silent(self, ctx: ReplayContext, topic: int, line: CaseEvent) -> None:
        """Fold an input that wrote no line, at the time of its record if that lies between the lines around it."""
        at = max(ctx.now, min(self._inputs[topic][self.folded[topic]].at, line.occurred_at))
        found, by_earlier = self._inputs[topic][self.folded[topic]], self._by_earlier(ctx, topic, at)
        self._input(ctx, topic, at, line)
        if by_earlier is not None and by_earlier != _stored(self._dossier) and self.undecided is None:
            earlier = "" if self._earlier is None else self._earlier.digest
            self.undecided = (
                f"not decidable from the record: {found.place} wrote no line, and nothing tells whether it was folded "
                f"by the rulebook {earlier} or already by {line.rulebook_digest}, which leave different dossiers"
            )

    def _by_earlier(self, ctx: ReplayContext, topic: int, at: int) -> bytes | None:
        """The dossier that the next input would leave by the rulebook of the line before; none: not another one."""
        if self._earlier is None or self._earlier.digest == ctx.rulebook.digest:
            return None
        dossier, other = decode_dossier(encode_dossier(self._dossier)), ReplayContext(self._earlier)
        dossier.due, other.now = None, at
        try:
            handle(dossier, self._inputs[topic][self.folded[topic]].record, other)
        except Exception:  # noqa: BLE001 - then it was not folded so
            return None
        return None if other.lines else _stored(dossier)

    def _input(self, ctx: ReplayContext, topic: int, at: int, line: CaseEvent) -> None:
        found = self._inputs[topic][self.folded[topic]]
        self.folded[topic] += 1
        self._set_off_no_timer(at)
        ctx.now = at
        _handle(self._dossier, found.record, ctx, line, str(found.place))

    def _set_off_no_timer(self, at: int) -> None:
        # A timer that writes a line is in the audit, with its own time: none is set off here. When the dossier is due
        # hangs on a sender's clock and the rulebook of then, too. One that writes no line leaves nothing to compare.
        if self._dossier.due is not None and self._dossier.due <= at:
            self._dossier.due = None

    def _remedy(self, ctx: ReplayContext, line: CaseEvent) -> None:
        self._set_off_no_timer(line.occurred_at)
        ctx.now = line.occurred_at
        _handle(self._dossier, self._ordered(line), ctx, line, line.cause_id)

    def _ordered(self, line: CaseEvent) -> RemedyOrdered:
        """What the remedy told the user's dossier, by the first line that it wrote."""
        said = line.saw
        wanted = ("remedy_id", "version", "approved_by", "proposed_by")
        if line.enforcement_id is None or not all(said.get(name) for name in wanted) or not said["version"].isdecimal():
            text = f"it does not say which remedy reached what: {', '.join(wanted)} and the enforcement belong to it"
            raise _DiffersError(Difference(line.seq, text, line))
        return RemedyOrdered(
            user_id=self._dossier.user_id,
            now=line.occurred_at,
            remedy_id=said["remedy_id"],
            enforcement_id=line.enforcement_id,
            version=int(said["version"]),
            approved_by=said["approved_by"],
            proposed_by=ReviewerId(said["proposed_by"]),
        )

    def _timer(self, ctx: ReplayContext, line: CaseEvent) -> None:
        ctx.now = line.occurred_at
        # The dossier may have been looked at since the line before without a line, by this line's rulebook or by one
        # that never wrote any (a timer, a remedy that found nothing to do), and then it was due earlier. What is done
        # is what is due by this line's rulebook, whatever woke the dossier.
        reschedule(self._dossier, ctx)
        _handle(self._dossier, TimerFired(self._dossier.user_id, line.occurred_at), ctx, line, line.cause_id)


def _stored(dossier: Dossier) -> bytes:
    """The dossier without when it is due: that is found anew by the rulebook of the timer's line."""
    due, dossier.due = dossier.due, None
    stored = encode_dossier(dossier)
    dossier.due = due
    return stored


def _handle(
    dossier: Dossier, event: InputRecord | TimerFired | RemedyOrdered, ctx: ReplayContext, line: CaseEvent, what: str
) -> None:
    try:
        handle(dossier, event, ctx)
    except Exception as exc:  # what was folded once must fold again: whatever it raises is the answer
        raise _DiffersError(Difference(line.seq, f"folding {what} raises {exc!r}", line)) from exc
