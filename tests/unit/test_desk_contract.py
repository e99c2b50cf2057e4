"""The desk and the contract: names as in the register, standards as in the engine, chains as in the audit."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from desk import names
from desk.audit import as_json_lines, verified
from desk.keyed_log import Kept
from desk.names import Names
from desk.standard import OUTCOMES, lacks_evidence
from processors.rulebook_parts import REVIEWERS_OUTCOMES
from processors.standards import missing
from schemas import Codec, from_json
from schemas.chain import hash_of
from schemas.records import CaseEvent
from schemas.vocabulary import EvidenceKind, EvidenceSupplier, Outcome
from tests.unit.builders import (
    HOUR,
    T0,
    a_claim,
    a_release,
    a_rulebook,
    after,
    an_appeal,
    an_enforcement,
    some_evidence,
)
from topology.topics import load_register

REGISTER = load_register("house.", partitioning="wide")
CODEC = Codec()


def test_topics_are_called_as_in_the_register():
    ours = Names("house.", "wide")
    for name in (*names.READ, *names.WRITTEN, *(f"cases.{pod}" for pod in REGISTER.pods)):
        assert ours.on_cluster(name) == REGISTER.on_cluster(name)
    assert ours.pod_of("house.cases.general") == "general"
    assert ours.pod_of("cases.general") is None


def test_what_is_read_is_what_may_be_there_and_the_register_lets_the_desk():
    for name, allowed in names.READ.items():
        assert allowed == REGISTER.by_name[name].allowed, name
        assert "desk" in REGISTER.by_name[name].readers, name
    for name in names.WRITTEN:
        assert "desk" in REGISTER.by_name[name].writers, name
    for pod in REGISTER.pods:
        assert "desk" in REGISTER.by_name[f"cases.{pod}"].readers, pod


def test_reviewers_may_decide_what_the_engine_lets_them():
    assert set(OUTCOMES) == set(REVIEWERS_OUTCOMES)


_KINDS = [EvidenceKind.NOTICE, EvidenceKind.COURT_ORDER, EvidenceKind.LICENCE]
_STANDARD = [
    {
        "name": "all",
        "when": {},
        "needs": [
            {"kinds": ["notice", "court_order"], "supplier": "enforcement", "outcomes": ["upheld"], "at_least": 2},
            {"kinds": ["licence"], "supplier": "appellant", "outcomes": ["upheld", "overturned"]},
            {"kinds": ["licence", "notice"], "outcomes": ["overturned"]},
        ],
    }
]
_BOOK = a_rulebook(second_review=None, automation=[], evidence=_STANDARD)


@given(
    st.lists(st.tuples(st.sampled_from(_KINDS), st.booleans()), max_size=6),
    st.sets(st.integers(0, 5)),
    st.sampled_from([Outcome.UPHELD, Outcome.OVERTURNED, Outcome.DISMISSED]),
)
def test_a_decision_lacks_what_the_engine_would_miss(pieces, cited, outcome):
    evidence = [(some_evidence(f"x-{n}", kind), theirs) for n, (kind, theirs) in enumerate(pieces)]
    life = after(
        an_enforcement(evidence=[each for each, theirs in evidence if not theirs]),
        an_appeal(evidence=[each for each, theirs in evidence if theirs]),
        rulebook=_BOOK,
    )
    case, open_case = life.published()[-1], life.case()
    named = [f"x-{n}" for n in cited]
    ours = lacks_evidence(case, outcome, named)
    theirs = missing(open_case, outcome, named, _BOOK.tables.review)
    assert [f"{lack.missing} more" for lack in ours] == [
        " ".join(part.split(" ")[:2]) for part in theirs.split("; ") if part
    ]


def test_what_was_asked_for_in_time_and_not_given_is_waived_here_too():
    life = after(an_enforcement(), an_appeal(), rulebook=_BOOK)
    case = life.published()[-1]
    need = msgspec.structs.replace(case.standard[1], waived=True, supplier=EvidenceSupplier.APPELLANT)
    case = msgspec.structs.replace(case, standard=[need])
    assert lacks_evidence(case, Outcome.UPHELD, []) == []


# --- the chain ----------------------------------------------------------------------------------------------------


def a_chain() -> list[Kept]:
    life = after(an_enforcement(), an_appeal())
    for at in range(3):
        life.send(a_claim(T0 + (2 + 2 * at) * HOUR, version=life.version()))
        life.send(a_release(T0 + (3 + 2 * at) * HOUR, version=life.version()))
    return [Kept(0, offset, CODEC.encode(line)) for offset, line in enumerate(life.lines())]


def faults(kept: list[Kept]) -> list[str]:
    return [link.fault for link in verified(kept, CODEC, "case.events")]


def changed(kept: Kept, **change: object) -> Kept:
    line = CODEC.decode(kept.value, frozenset({CaseEvent}))
    return Kept(0, kept.offset, CODEC.encode(msgspec.structs.replace(line, **change)))


def test_a_chain_as_it_was_written_has_no_fault():
    assert len(a_chain()) > 6
    assert not any(faults(a_chain()))


def test_each_way_to_break_a_chain_is_named():
    chain = a_chain()
    assert faults([*chain[:3], changed(chain[3], actor="somebody-else"), *chain[4:]])[3] == "altered"
    assert faults([*chain[:3], *chain[4:]])[3] == "missing"
    assert faults([*chain[:3], chain[2], *chain[3:]])[3] == "doubled"
    assert faults([*chain[:3], changed(chain[3], hash=None), *chain[4:]])[3] == "altered"
    assert "missing" in faults([*chain[:3], Kept(0, 3, b"\x00broken"), *chain[4:]])


def test_a_line_that_was_written_anew_with_its_hash_is_not_followed_by_the_next():
    chain = a_chain()
    line = CODEC.decode(chain[3].value, frozenset({CaseEvent}))
    forged = msgspec.structs.replace(line, actor="somebody-else", hash=None)
    forged = msgspec.structs.replace(forged, hash=hash_of(forged))
    assert faults([*chain[:3], Kept(0, 3, CODEC.encode(forged)), *chain[4:]])[3:5] == ["", "broken"]


def test_the_export_is_the_form_that_is_hashed_and_reads_back():
    links = list(verified(a_chain(), CODEC, "case.events"))
    lines = b"".join(as_json_lines(links)).splitlines()
    assert [from_json(CaseEvent, line) for line in lines] == [link.line for link in links]
    assert b"null" not in b"".join(lines)


def test_places_name_topic_partition_and_offset():
    assert list(verified(a_chain(), CODEC, "case.events"))[3].place == "case.events[0]@3"
