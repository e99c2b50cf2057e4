"""A remedy at one enforcement: reversed once, by the ordinary saga, whatever appeals and decisions do meanwhile."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processors import ids
from processors.dossier import Tally
from processors.remedy_reasons import Spared
from processors.remedying import cause_of
from schemas.records import AppealId, EnforcementId, Lesser, Millis, RemedyOrdered, ReviewerId, Target, UserId
from schemas.vocabulary import Action, CaseEventKind, Outcome, RemedyState, ReversalCause, TargetKind
from tests.unit.builders import T0, a_claim, a_decision, a_lift, a_rulebook, an_ack, an_amendment
from tests.unit.remedies import START, Partition, a_proposal, an_approval, appealed, struck


def remedied(there: Partition, **proposal: object) -> Partition:
    there.send(a_proposal(**proposal), an_approval("paul"), an_approval("quinn"))
    there.run()
    return there


def reviewed(there: Partition, outcome: Outcome, e: str = "e-1", user: str = "u-1") -> None:
    there.send(appealed(user, e))
    there.send(_for(a_claim(START, appeal_id=f"a-{e}"), user))
    there.send(_for(a_decision(START, outcome, appeal_id=f"a-{e}"), user))


def _for(record, user: str):
    return msgspec.structs.replace(record, user_id=UserId(user))


def test_not_appealed_it_is_reversed_with_an_audit_line_that_says_by_whom() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"))
    remedied(there)
    (order,) = there.orders
    assert (order.cause, order.remedy_id, order.case_id) == (ReversalCause.REMEDY, "m-1", order.reversal_id)
    assert len(order.directives) == 1
    first = there.lines("u-1")[0]
    assert (first.kind, first.cause_id) == (CaseEventKind.REVERSAL_ORDERED, "remedy:m-1:e-1")
    assert first.saw["approved_by"] == "paul,quinn"
    assert first.saw["proposed_by"] == "olga"
    assert first.saw["remedy_id"] == "m-1"
    there.send(_for(an_ack(order), "u-1"))
    assert CaseEventKind.REVERSAL_CONFIRMED in [line.kind for line in there.lines("u-1")]


def test_open_case_ends_as_overturned_and_the_reversal_is_that_case_s() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"), appealed("u-1", "e-1"))
    remedied(there)
    case_id = ids.case_id(AppealId("a-e-1"))
    decided = [line for line in there.lines("u-1") if line.kind is CaseEventKind.CASE_DECIDED]
    assert [(d.case_id, d.outcome, d.reason) for d in decided] == [(case_id, Outcome.OVERTURNED, "remedy")]
    assert decided[0].saw["approved_by"] == "paul,quinn"
    (order,) = there.orders
    assert (order.case_id, order.reversal_id) == (case_id, ids.reversal_id(case_id))
    dossier = there.dossier("u-1")
    assert dossier.cases == {}
    assert (dossier.counts.overturned, dossier.counts.upheld) == (1, 0)
    there.send(_for(a_claim(START, appeal_id="a-e-1"), "u-1"))
    assert there.lines("u-1")[-1].kind is CaseEventKind.REVIEW_REJECTED


def test_upheld_on_appeal_it_is_reversed_too_and_the_user_s_standing_is_put_right() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"), struck("u-1", "e-2", detector=None))
    reviewed(there, Outcome.UPHELD)
    assert there.dossier("u-1").counts.upheld == 1
    remedied(there)
    counts = there.dossier("u-1").counts
    assert (counts.upheld, counts.overturned) == (0, 1)
    assert there.dossier("u-1").tallies == {"fake-finder": Tally(overturned=1, decided=1)}
    assert there.reversed() == ["e-1"]


def test_each_listing_of_a_large_catalogue_is_immune_after_it() -> None:
    there = Partition()
    listings = [Target(kind=TargetKind.LISTING, id=f"listing-{n}") for n in range(120)]
    there.send(*(struck("u-1", f"e-{n}", target=listing) for n, listing in enumerate(listings)))
    remedied(there)
    again = [struck("u-1", f"again-{n}", there.now + 1, target=listing) for n, listing in enumerate(listings)]
    there.send(*again)
    breaches = [line for line in there.lines("u-1") if line.kind is CaseEventKind.IMMUNITY_BREACHED]
    assert [line.enforcement_id for line in breaches] == [e.enforcement_id for e in again]


def test_overturned_on_appeal_before_it_is_spared() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"))
    reviewed(there, Outcome.OVERTURNED)
    remedied(there)
    assert there.reversed() == []
    assert there.last.spared == {Spared.ALREADY_REVERSED: 1}
    assert there.dossier("u-1").counts.overturned == 1


def test_overturned_on_appeal_between_dry_run_and_run_it_is_not_reversed_twice() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"), a_proposal())
    there.run()
    reviewed(there, Outcome.OVERTURNED)
    there.send(an_approval("paul"), an_approval("quinn"))
    there.run()
    assert there.reversed() == []
    assert there.last.skipped == {Spared.ALREADY_REVERSED: 1}
    assert there.last.cohort.enforcements == 1
    assert there.last.done.enforcements == 0


def test_modified_before_it_the_earlier_order_goes_out_again_without_what_was_left() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"), appealed("u-1", "e-1"), _for(a_claim(START, appeal_id="a-e-1"), "u-1"))
    milder = Lesser(action=Action.WARNING)
    there.send(_for(a_decision(START, Outcome.MODIFIED, appeal_id="a-e-1", lesser=milder), "u-1"))
    (modified,) = there.orders
    assert modified.lesser == milder
    remedied(there)
    there.send(struck("u-1", "later", there.now, action=Action.BAN))  # the earlier order's system has not answered yet
    *_, again = (order for order in there.orders if order.reversal_id == modified.reversal_id)
    assert (again.outcome, again.attempt > 1, again.lesser) == (Outcome.MODIFIED, True, None)


def test_two_remedies_with_the_same_cohort_reverse_once() -> None:
    there = Partition()
    there.send(*(struck("u-1", f"e-{n}") for n in range(9)))
    for name in ("m-1", "m-2"):
        there.send(a_proposal(name, per_second=4), an_approval("paul", name), an_approval("quinn", name))
    there.run()
    assert sorted(there.reversed()) == [f"e-{n}" for n in range(9)]
    assert sum(there.reports(name)[-1].done.enforcements for name in ("m-1", "m-2")) == 9


def test_amended_after_it_was_reversed_the_new_version_is_reversed_by_a_remedy_of_its_own() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"))
    remedied(there)
    there.send(_for(an_amendment(START), "u-1"))
    there.send(a_proposal("m-2"), an_approval("paul", "m-2"), an_approval("quinn", "m-2"))
    there.run()
    assert there.reversed() == ["e-1", "e-1"]
    orders = [order for order in there.orders if order.attempt == 1]
    assert len({o.reversal_id for o in orders}) == 2
    assert [o.enforcement_version for o in orders] == [1, 2]


def test_what_a_chunk_s_own_reversals_bring_down_is_not_counted_as_ordered() -> None:
    rules = {"thresholds": [{"at": 1, "actions": ["suspension"]}]}
    there = Partition(a_rulebook(second_review=None, evidence=[], automation=[], strikes=rules))
    for user in ("u-1", "u-2"):
        there.send(
            struck(user, f"{user}-cause", T0, action=Action.CONTENT_REMOVAL, strikes=1),
            struck(user, f"{user}-follows", T0 + 1, caused_by=EnforcementId(f"{user}-cause")),
        )
    remedied(there)
    by_remedy, by_cascade = there.reversed(), there.reversed(ReversalCause.CASCADE)
    assert len(by_cascade) == 2
    assert sorted(by_remedy + by_cascade) == sorted(
        f"{user}-{what}" for user in ("u-1", "u-2") for what in ("cause", "follows")
    )
    assert there.last.done.enforcements == len(by_remedy)
    assert there.last.skipped.get(Spared.ALREADY_REVERSED, 0) == len(by_cascade)


def test_silent_order_leaves_no_trace() -> None:
    there = Partition()
    there.send(struck("u-1", "e-1"))
    remedied(there)
    before, said = there.dossiers["u-1"], len(there.out)
    again = RemedyOrdered(
        UserId("u-1"), Millis(START), "m-1", EnforcementId("e-1"), 1, "paul,quinn", ReviewerId("olga")
    )
    there._fold("u-1", again)
    assert there.dossiers["u-1"] == before
    assert len(there.out) == said


def test_cause_of_long_names_is_still_one() -> None:
    long = RemedyOrdered(UserId("u"), Millis(0), "m" * 256, EnforcementId("e" * 256), 1, "p", ReviewerId("o"))
    assert len(cause_of(long)) <= 256
    assert cause_of(long).startswith("remedy:")
    assert cause_of(long) != cause_of(RemedyOrdered(UserId("u"), Millis(0), "m" * 256, EnforcementId("e"), 1, "p", "o"))


steps = st.lists(
    st.tuples(
        st.sampled_from(["strike", "appeal", "uphold", "overturn", "lift", "amend", "tick", "tick"]), st.integers(0, 5)
    ),
    max_size=25,
)


@given(before=steps, during=steps, rate=st.sampled_from([4, 40, 1000]))
def test_each_of_the_cohort_is_reversed_once_and_the_counts_add_up(before, during, rate) -> None:
    there = Partition()
    _live(there, before)
    there.send(a_proposal(per_second=rate))
    there.run()
    preview = there.last
    assert preview.cohort.enforcements + sum(preview.spared.values()) == len(there.terms)
    there.send(an_approval("paul"), an_approval("quinn"))
    too_late = _live(there, during)
    there.run()
    done = there.last
    causes = there.reversed(), there.reversed(ReversalCause.DECISION)
    assert len(causes[0]) == len(set(causes[0])) == done.done.enforcements
    for user in range(3):
        dossier = there.dossier(f"u-{user}")
        for key, e in dossier.enforcements.items():
            restored = e.reversed_version >= e.version
            assert restored or e.lift is not None or key in too_late, f"{key} still stands"
            assert restored == (key in causes[0] or key in causes[1])
    if not during:
        assert done.done.enforcements == preview.cohort.enforcements
        assert sum(done.skipped.values()) == sum(preview.spared.values())


def _live(there: Partition, steps) -> set[str]:
    """Do all that; what was struck after the remedy was done."""
    too_late = set()
    for what, n in steps:
        user, e = f"u-{n % 3}", f"e-{n}"
        known = EnforcementId(e) in there.dossier(user).enforcements
        match what:
            case "strike" if not known:
                target = Target(kind=TargetKind.LISTING, id=f"l-{n}")
                there.send(struck(user, e, T0 + n, target=target))
                if there.remedy().state is RemedyState.DONE:
                    too_late.add(e)
            case "appeal" if known:
                there.send(appealed(user, e))
            case "uphold" | "overturn" if known:
                reviewed(there, Outcome.UPHELD if what == "uphold" else Outcome.OVERTURNED, e, user)
            case "lift" if known:
                there.send(a_lift(START, enforcement_id=e, user_id=UserId(user)))
            case "tick":
                there.tick()
            case _:
                pass
    return too_late
