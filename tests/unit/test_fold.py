"""The one table of handlers, and the dossier as bytes."""

import hashlib
import itertools
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from processors import codec, deciding, refusal
from processors.dossier import Counts, Dossier, Erasing, Parked, Stage, Tally
from processors.errors import DossierUnreadableError, ImpossibleInputError, UnknownRecordError
from processors.fold import HANDLERS, TOPIC_OF, decode_dossier, encode_dossier, handle, new_dossier, next_due
from processors.on_file import Enforcement, Exhibit, FiledEffect, FiledLesser, Lift, Profile, Sum
from processors.open_case import Decided, Lease, Note, OpenCase, Part, Proposed, Request, Waiting
from processors.undoing import Held, Immunity, Order, Remand, Reversal
from schemas.records import (
    AppealId,
    CaseId,
    EnforcementId,
    InputRecord,
    Millis,
    Record,
    RemedyOrdered,
    ReviewerId,
    TimerFired,
    UserId,
)
from schemas.vocabulary import (
    Action,
    AppealFlag,
    AppealGround,
    Automation,
    Band,
    CaseEventKind,
    CaseOrigin,
    CaseState,
    Category,
    DirectiveState,
    DismissalReason,
    EffectKind,
    EvidenceKind,
    EvidenceSupplier,
    Ground,
    Operation,
    Outcome,
    RefusalReason,
    ReversalCause,
    SellerTier,
    TargetKind,
)
from tests.unit.builders import (
    DAY,
    HOUR,
    RULEBOOK,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_profile,
    after,
    an_ack,
    an_appeal,
    an_enforcement,
    decided,
    euros,
    some_evidence,
)
from topology.topics import load_register

GOLDEN = Path(__file__).with_name("golden_dossier.hex")
FORMAT_1 = Path(__file__).with_name("golden_dossier_format_1.hex")
"""As it was stored before directives had states, and reversals causes."""
UNCHAINED = Path(__file__).with_name("golden_dossier_unchained.hex")
"""As it was stored before lines were chained and inputs counted."""


def test_every_input_and_the_timer_have_a_handler_and_nothing_else_has() -> None:
    assert set(HANDLERS) == {*get_args(InputRecord), RemedyOrdered, TimerFired}


def test_record_without_a_handler_is_a_defect() -> None:
    with pytest.raises(UnknownRecordError):
        handle(new_dossier(USER), Record(), Life())  # type: ignore[arg-type]


def test_tables_over_closed_lists_are_total() -> None:
    assert set(refusal.REDRESS_OF_REFUSAL) == set(RefusalReason) - {RefusalReason.UNKNOWN}
    assert set(RULEBOOK.tables.severity) == set(Action) - {Action.UNKNOWN}
    assert set(RULEBOOK.tables.band_starts) == set(Band) - {Band.UNKNOWN}
    assert set(RULEBOOK.tables.vulnerability) == set(AppealFlag) - {AppealFlag.UNKNOWN, AppealFlag.AGAINST_IMMUNITY}
    assert Outcome.UNKNOWN not in deciding.REVIEWERS_OUTCOMES


def test_new_dossier_is_empty_and_small() -> None:
    dossier = new_dossier(USER)
    assert next_due(dossier) is None
    assert len(encode_dossier(dossier)) < 30


def test_dossier_of_a_user_with_one_enforcement_is_small() -> None:
    assert len(encode_dossier(after(an_enforcement()).dossier)) < 450


def test_closed_case_is_kept_short() -> None:
    with_case = encode_dossier(after(an_enforcement(), an_appeal()).dossier)
    without = encode_dossier(after(an_enforcement()).dossier)
    closed = encode_dossier(decided(Outcome.UPHELD).dossier)
    assert len(closed) - len(without) < (len(with_case) - len(without)) / 3


def everything() -> Dossier:
    """A dossier in which every field of every part has a value of its own."""
    euros = Sum(Decimal("12.3400"), "EUR")
    lesser = FiledLesser(Action.FEE, Millis(T0 + 2), ["DE"], euros, 1)
    exhibit = Exhibit("x-1", EvidenceKind.VIDEO, "s3://x-1", "00ff", EvidenceSupplier.SPECIALIST, "AXgt")
    return Dossier(
        user_id=USER,
        seq=7,
        head=bytes(range(32)),
        folded=[4, 3, 2, 1],
        due=Millis(T0 + 5),
        profile=Profile(
            at=Millis(T0),
            language="de",
            region="AT",
            tier=SellerTier.TOP_SELLER,
            lifetime_value=euros,
            reach=9,
            is_minor=True,
            safety_flag=True,
        ),
        enforcements={
            EnforcementId("e-1"): Enforcement(
                version=2,
                action=Action.PAYOUT_LOSS,
                target_kind=TargetKind.PAYOUT,
                target_id="p-1",
                noticed_at=Millis(T0 + 1),
                issued_at=Millis(T0),
                ends_at=Millis(T0 + 2),
                content_hash="h",
                scope=["DE"],
                policy="fees",
                policy_version="3",
                ground=Ground.DECISION_GROUND_ILLEGAL_CONTENT,
                category=Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD,
                automation=Automation.AUTOMATED_DECISION_PARTIALLY,
                detector="d",
                detector_version="4",
                statement_of_reasons_id="s-1",
                facts_ref="s3://facts",
                evidence=[exhibit],
                effects=[FiledEffect("f-1", "ledger", EffectKind.MONEY_TAKEN, {"account": "7"}, euros)],
                amount=euros,
                strikes=3,
                caused_by=EnforcementId("e-0"),
                appealable=False,
                appeal_until=Millis(T0 + 3),
                barred=[ReviewerId("r-1")],
                decided_by=ReviewerId("r-1"),
                lift=Lift(Millis(T0 + 4), True, euros),
                returned={"f-1": euros},
                reversed_version=1,
                upheld_version=1,
                moot=True,
                case_id=CaseId("c-1"),
                filed=True,
                lesser=lesser,
                reversal_id="v-1",
                against="v-9",
            )
        },
        parked=[Parked(Millis(T0 + 6), an_appeal(event_id="ev-1"))],
        cases={
            CaseId("c-1"): OpenCase(
                case_id=CaseId("c-1"),
                version=2,
                appeal_id=AppealId("a-1"),
                enforcement_id=EnforcementId("e-1"),
                submitted_at=Millis(T0),
                opened_at=Millis(T0 + 1),
                due_at=Millis(T0 + 2),
                language="de",
                region="AT",
                state=CaseState.CLAIMED,
                pod="general",
                band=Band.P1,
                score=600,
                parts=[Part("severity", 0.5, 0.3, 150.0, "why")],
                rank_at=Millis(T0 + 3),
                promised_at=Millis(T0 + 4),
                rule="default",
                because="no other rule",
                digest="00",
                grounds=[AppealGround.NOT_MINE],
                flags=[AppealFlag.MINOR],
                notes=[Note(AppealId("a-1"), Millis(T0), "s3://a-1", "ff", "AXgu")],
                evidence=[exhibit],
                changed=True,
                excluded=[ReviewerId("r-1")],
                lease=Lease(ReviewerId("r-2"), Millis(T0), Millis(T0 + 9)),
                expires_at=Millis(T0 + 8),
                overdue=True,
                last_review="ev-2",
                warn_at=Millis(T0 + 10),
                warned=True,
                promise_missed=True,
                due_warned=True,
                waiting=Waiting(Millis(T0), Millis(T0 + 11), capped=True),
                paused_ms=12,
                paused_work_ms=13,
                handling_ms=14,
                standard="takedown notices",
                requests=[
                    Request(
                        "q-1",
                        [EvidenceKind.LICENCE],
                        1,
                        EvidenceSupplier.APPELLANT,
                        Millis(T0),
                        Millis(T0 + 15),
                        "s3://note",
                    )
                ],
                waived=[EvidenceKind.NOTICE],
                proposal=Proposed(
                    "ev-5",
                    ReviewerId("r-3"),
                    Outcome.DISMISSED,
                    Millis(T0),
                    "s3://reasons",
                    "4",
                    ["x-1"],
                    DismissalReason.ABUSIVE,
                    "other rule",
                    lesser,
                    "s3://guidance",
                ),
                triggers=["severity"],
                second_since=Millis(T0 + 16),
                blind=True,
                returns=1,
                guidance_ref="s3://guidance",
                disputed=True,
                escalated=True,
                origin=CaseOrigin.CASCADE,
                overflowed_from="payments",
            )
        },
        decided={CaseId("c-0"): Decided(AppealId("a-0"), Outcome.OVERTURNED, 4, "ev-3", confirmed=True)},
        answered={AppealId("a-9"): True},
        early_withdrawals=[AppealId("a-8")],
        early_lifts={EnforcementId("e-8"): Lift(Millis(T0), False, None)},
        reversals={
            "v-1": Reversal(
                case_id=CaseId("c-2"),
                appeal_id=AppealId("a-2"),
                enforcement_id=EnforcementId("e-2"),
                version=1,
                target_kind=TargetKind.ACCOUNT,
                target_id="u-1",
                content_hash="h",
                ordered_at=Millis(T0),
                language="de",
                strikes=1,
                orders=[
                    Order(
                        "o-1",
                        "ledger",
                        Operation.REPAY,
                        "f-1",
                        {"k": "v"},
                        euros,
                        DirectiveState.APPLIED,
                        "ev-4",
                        EffectKind.MONEY_TAKEN,
                        1,
                        "o-0",
                        [Held(Action.SUSPENSION, "DE", Millis(T0 + 30), EnforcementId("e-3"))],
                        "no such account",
                    )
                ],
                attempt=2,
                tries=3,
                retry_at=Millis(T0 + 7),
                deadline=Millis(T0 + 8),
                stalled="deadline",
                stalled_at=Millis(T0 + 6),
                outcome=Outcome.MODIFIED,
                cause=ReversalCause.CASCADE,
                caused_by="v-0",
                remedy_id="m-1",
                last_command="ev-5",
            )
        },
        immunities=[Immunity("l-1", "h", "fees", "d", Millis(T0), Millis(T0 + 40), "v-2")],
        remands={EnforcementId("e-3"): Remand(CaseId("c-3"), AppealId("a-3"), 1, Millis(T0 + 50))},
        tallies={"d": Tally(1, 2)},
        counts=Counts(1, 2, 3, 4, 5, 6, 7),
        traces={CaseId("c-1"): "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        holds={"h-1": True},
        erasing=Erasing(Stage.HELD, Millis(T0 + 60), "ev-6"),
    )


def test_golden_dossier_leaves_no_field_at_its_default() -> None:
    missing: list[str] = []
    _look_for_defaults(everything(), missing)
    assert missing == []


def _look_for_defaults(value: Any, missing: list[str]) -> None:
    if isinstance(value, msgspec.Struct) and not isinstance(value, Record):
        for field in msgspec.structs.fields(value):
            held = getattr(value, field.name)
            if field.default is not msgspec.NODEFAULT and held == field.default:
                missing.append(f"{type(value).__name__}.{field.name}")
            if field.default_factory is not msgspec.NODEFAULT and held == field.default_factory():
                missing.append(f"{type(value).__name__}.{field.name}")
            _look_for_defaults(held, missing)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _look_for_defaults(item, missing)


def test_every_field_survives_storage() -> None:
    assert decode_dossier(encode_dossier(everything())) == everything()


def test_bytes_of_a_dossier_are_golden() -> None:
    """Stored dossiers must stay readable: a difference here needs a default, or a new format and its decoder."""
    golden = bytes.fromhex(GOLDEN.read_text(encoding="ascii"))
    assert golden[0] == codec.FORMAT
    assert decode_dossier(golden) == everything()
    assert encode_dossier(everything()) == golden


def as_format_1_had_it() -> Dossier:
    """`everything()` without what format 1 did not know."""
    older = everything()
    for e in older.enforcements.values():
        e.lesser = e.reversal_id = e.against = e.decided_by = None
    for case in older.cases.values():
        case.origin = CaseOrigin.APPEAL
        case.overflowed_from = ""
        if case.proposal is not None:
            case.proposal = msgspec.structs.replace(case.proposal, lesser=None, guidance_ref=None)
    for running in older.reversals.values():
        item = running.orders[0]
        running.orders = [
            Order(*(getattr(item, name) for name in Order.__struct_fields__[:6]), item.stage, item.last_ack)
        ]
        running.tries, running.deadline, running.stalled, running.stalled_at = 1, None, True, None
        running.outcome, running.cause = Outcome.OVERTURNED, ReversalCause.DECISION
        running.caused_by, running.remedy_id, running.last_command = None, None, ""
    for kept in (*older.enforcements.values(), *older.cases.values()):
        kept.evidence = [msgspec.structs.replace(exhibit, sealed=None) for exhibit in kept.evidence]
    for case in older.cases.values():
        case.notes = [msgspec.structs.replace(note, sealed=None) for note in case.notes]
    older.holds, older.erasing = {}, None
    older.immunities = [Immunity("l-1", "h", "fees")]
    older.remands = {}
    older.traces = {}
    return older


def test_dossier_of_format_1_is_read_and_its_directives_have_states() -> None:
    assert decode_dossier(bytes.fromhex(FORMAT_1.read_text(encoding="ascii"))) == as_format_1_had_it()


@pytest.mark.parametrize(
    ("done_and_failed", "stage"),
    [
        ([False, False], DirectiveState.SENT),
        ([False, True], DirectiveState.FAILED_PERMANENT),
        ([True, False], DirectiveState.APPLIED),
    ],
)
def test_directive_that_format_1_kept_as_two_booleans_has_its_state(
    done_and_failed: list[bool], stage: DirectiveState
) -> None:
    plain = msgspec.msgpack.decode(bytes.fromhex(FORMAT_1.read_text(encoding="ascii"))[1:])
    plain["r"]["v-1"]["d"][0][6:8] = done_and_failed
    dossier = decode_dossier(b"\x01" + msgspec.msgpack.encode(plain))
    assert dossier.reversals["v-1"].orders[0].stage is stage


def test_dossier_stored_before_lines_were_chained_is_read_and_its_chain_begins_with_the_next_line() -> None:
    life = Life(dossier=decode_dossier(bytes.fromhex(UNCHAINED.read_text(encoding="ascii"))), now=T0)
    before = as_format_1_had_it()
    before.head, before.folded = b"", []
    assert life.dossier == before
    life.send(a_claim(T0, appeal_id="a-7"))
    first, *more = life.lines()
    assert (first.seq, first.prev_hash) == (8, None)
    assert [line.prev_hash for line in more] == [line.hash for line in life.lines()[:-1]]
    assert life.dossier.head.hex() == life.lines()[-1].hash


def test_inputs_are_counted_by_topic_in_the_order_of_the_register() -> None:
    for place, topic in enumerate(load_register().user_inputs):
        assert {kind for kind in TOPIC_OF if TOPIC_OF[kind] == place} == topic.allowed
    assert set(TOPIC_OF) == set(get_args(InputRecord))


def test_line_tells_how_many_inputs_of_each_topic_came_before_it_its_cause_included() -> None:
    life = decided(Outcome.OVERTURNED, a_profile())
    life.send(an_ack(life.orders()[0]))
    folded = {line.kind: line.folded for line in life.lines()}
    assert folded[CaseEventKind.CASE_OPENED] == [2, 1, 0, 0]
    assert folded[CaseEventKind.CASE_CLAIMED] == [2, 1, 1, 0]
    assert folded[CaseEventKind.REVERSAL_ORDERED] == folded[CaseEventKind.CASE_DECIDED] == [2, 1, 2, 0]
    assert folded[CaseEventKind.REVERSAL_CONFIRMED] == life.dossier.folded == [2, 1, 2, 1]


def test_line_of_a_timer_that_an_input_set_off_counts_without_that_input() -> None:
    life = after(an_appeal())
    life.send(a_profile(T0 + 30 * DAY))
    assert [line.folded for line in life.lines()] == [[0, 1, 0, 0], [0, 1, 0, 0]]
    assert life.dossier.folded == [1, 1, 0, 0]


def test_input_that_raises_is_not_counted_once_its_dossier_is_thrown_away() -> None:
    life = after(an_appeal())
    with pytest.raises(ImpossibleInputError):
        handle(decode_dossier(encode_dossier(life.dossier)), an_enforcement(amount=euros("-1")), life)
    assert life.dossier.folded == [0, 1, 0, 0]


def test_short_keys_are_not_used_twice() -> None:
    for struct in (Dossier, Enforcement, Profile, OpenCase, Reversal):
        keys = [field.encode_name for field in msgspec.structs.fields(struct)]
        assert len(set(keys)) == len(keys)
        assert all(len(key) <= 2 for key in keys), "a long key costs its length in every dossier"


def test_field_of_a_newer_version_is_passed_over() -> None:
    raw = msgspec.msgpack.decode(encode_dossier(everything())[1:])
    raw["zz"] = "from the future"
    assert decode_dossier(bytes([codec.FORMAT]) + msgspec.msgpack.encode(raw)) == everything()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x63abc", b"\x01", b"\x01\xc1", b"\x01\x80"])
def test_bytes_that_are_no_dossier_are_named_as_such(data: bytes) -> None:
    with pytest.raises(DossierUnreadableError):
        decode_dossier(data)


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_same_life_gives_the_same_bytes_in_every_process(seed: str) -> None:
    """Nothing rests on the order of a set or on a hash: those differ between processes."""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", "from tests.unit.test_fold import life_in_bytes; print(life_in_bytes())"],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
    )
    assert ran.stdout.strip() == life_in_bytes()


def life_in_bytes() -> str:
    """A digest of everything that a busy life emits and stores."""
    numbers = itertools.count()
    life = Life()
    flags = [AppealFlag.PERSONAL_SAFETY, AppealFlag.MINOR, AppealFlag.LEGAL_ORDER]
    for event in (
        a_profile(is_minor=True),
        an_enforcement(evidence=[some_evidence("x-1"), some_evidence("x-2")], strikes=1),
        an_enforcement(enforcement_id=EnforcementId("e-2")),
        an_appeal(flags=flags, grounds=list(AppealGround)),
        an_appeal(appeal_id="a-2", enforcement_id=EnforcementId("e-3")),
        a_claim(T0 + HOUR),
        a_decision(T0 + HOUR, cited=["x-2", "x-1"]),
    ):
        life.send(msgspec.structs.replace(event, event_id=f"ev-{next(numbers)}"))
    life.wait_until(T0 + 90 * DAY)
    parts = [(e.topic, e.key, e.record) for e in life.out]
    return hashlib.sha256(msgspec.msgpack.encode(parts) + encode_dossier(life.dossier)).hexdigest()


def test_user_of_a_dossier_is_the_users() -> None:
    assert new_dossier("u-9").user_id == UserId("u-9")
