"""Terms follow the enforcements: after any history the index is what a rebuild would make of the dossiers."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import codec
from processors.cohort import PROJECTIONS, owner, parse, range_of, term, terms_of
from processors.errors import DossierUnreadableError
from processors.fold import encode_dossier, handle, new_dossier
from processors.growth import FULL_ENFORCEMENTS, MAX_ENFORCEMENTS
from processors.on_file import Enforcement
from schemas.records import Detector, EnforcementId, Millis, UserId
from schemas.vocabulary import Action, TargetKind
from tests.unit import test_random_histories as histories
from tests.unit.audits import lived
from tests.unit.builders import DAY, HOUR, T0, USER, Life, an_amendment, an_appeal, an_enforcement

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
times = st.integers(-(2**40), 2**42)


def on_file(detector: str | None = "finder", version: str = "7", issued_at: int = T0, **change) -> Enforcement:
    base = {"version": 1, "action": Action.FEE, "target_kind": TargetKind.LISTING, "target_id": "l-1"}
    times = {"noticed_at": Millis(issued_at), "issued_at": Millis(issued_at)}
    return Enforcement(**{**base, **times, "detector": detector, "detector_version": version, **change})


@given(user=names, enforcement_id=names, detector=names, version=names, at=times)
def test_term_says_whom_it_is_about_and_lies_in_its_range(user, enforcement_id, detector, version, at) -> None:
    found = term(user, enforcement_id, on_file(detector, version, at))
    assert found is not None
    assert parse(found) == (user, at, enforcement_id)
    assert owner(found) == user.encode()
    low, high = range_of(detector, version)
    assert low < found < high
    assert not found.startswith(b"\0")


def test_ranges_of_two_versions_do_not_overlap_and_a_separator_in_a_name_is_no_other_version() -> None:
    ranges = sorted(range_of("finder", str(n)) for n in range(2_000))
    assert all(first[1] < second[0] for first, second in itertools.pairwise(ranges))
    assert range_of("a", "b") != range_of("ab", "")


def test_enforcements_of_a_user_lie_together() -> None:
    users = ["u", "u-1", "u-10", "v", "ä"]
    found = sorted(
        filter(None, (term(user, f"e-{n}", on_file(issued_at=T0 + n * 7)) for n in range(5) for user in users))
    )
    order = [parse(one).user_id for one in found]
    assert len(list(dict.fromkeys(order))) == sum(a != b for a, b in zip([None, *order], order, strict=False))


def test_no_term_without_a_detector_nor_for_what_is_filed_away() -> None:
    assert term("u", "e", on_file(None)) is None
    assert term("u", "e", on_file(filed=True)) is None


def rebuilt(life: Life) -> set[bytes]:
    return set(terms_of(encode_dossier(life.dossier)))


detectors = st.sampled_from([None, Detector(name="finder", version="7"), Detector(name="finder", version="8")])
filings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 4), detectors, st.integers(0, 9), st.booleans()), max_size=12
)


@given(filings)
def test_index_is_what_a_rebuild_makes_after_any_filings(filed) -> None:
    life = Life()
    for number, version, detector, hour, first in filed:
        make = an_enforcement if first else an_amendment
        change = {"enforcement_id": EnforcementId(f"e-{number}"), "version": version, "detector": detector}
        life.send(make(T0 + hour * HOUR, **change))
        assert life.terms == rebuilt(life)


@settings(deadline=None)
@given(histories._steps)
def test_index_is_what_a_rebuild_makes_after_any_life(taken) -> None:
    life = lived(taken).life
    assert life.terms == rebuilt(life)


def test_term_follows_an_earlier_version_that_comes_late() -> None:
    life = Life()
    life.send(an_amendment(T0 + DAY))
    life.send(an_enforcement(T0))
    (found,) = life.terms
    assert parse(found).issued_at == T0
    assert life.terms == rebuilt(life)


def test_terms_of_what_is_filed_away_or_dropped_leave_the_index() -> None:
    life = Life()
    for number in range(MAX_ENFORCEMENTS + 40):
        life.send(an_enforcement(at=T0 + number * DAY, enforcement_id=EnforcementId(f"e-{number}")))
    whole = {key for key, e in life.dossier.enforcements.items() if not e.filed}
    assert FULL_ENFORCEMENTS < len(life.dossier.enforcements) <= MAX_ENFORCEMENTS
    assert {parse(found).enforcement_id for found in life.terms} == whole
    assert life.terms == rebuilt(life)


def test_terms_of_what_is_dropped_within_its_time_of_appeal_leave_the_index_too() -> None:
    life = Life()
    for number in range(MAX_ENFORCEMENTS + 40):
        life.send(an_enforcement(at=T0 + number, enforcement_id=EnforcementId(f"e-{number}")))
    assert len(life.terms) == len(life.dossier.enforcements) < MAX_ENFORCEMENTS + 40
    assert life.terms == rebuilt(life)


def test_terms_are_read_from_every_format_that_is_stored() -> None:
    assert PROJECTIONS.keys() == codec._DECODERS.keys()
    life = Life()
    life.send(an_enforcement())
    life.send(an_appeal())
    stored = encode_dossier(life.dossier)
    assert set(terms_of(stored)) == life.terms != set()


def test_projection_reads_the_keys_that_dossiers_are_written_with() -> None:
    dossier = new_dossier(USER)
    handle(dossier, an_enforcement(), Life())
    stored = msgspec.msgpack.decode(encode_dossier(dossier)[1:])
    assert stored["u"] == USER
    assert set(stored["e"]["e-1"]) >= {"i", "d", "dv"}


@pytest.mark.parametrize("raw", [b"", b"\x7f", b"\x01", b"\x01\xc1", b"\x01\x80"])
def test_what_is_no_dossier_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(DossierUnreadableError):
        list(terms_of(raw))


def test_user_ids_are_bytes_in_terms() -> None:
    user = UserId("ü" * 256)
    found = term(user, "e", on_file())
    assert found is not None
    assert owner(found).decode() == user
