"""What the desk says: the same in each language, complete, and no more than the templates ask for."""

import re
import string
from pathlib import Path

import pytest

import desk
from desk.identity import Role
from desk.wording import LANGUAGES, preferred, words
from processors.reasons import ReviewRefusal
from processors.rulebook import Rulebook
from schemas import vocabulary as v
from topology.rulebook_file import load_rulebook

ROOM = Path(desk.__file__).parent
TEMPLATES = "".join(path.read_text() for path in sorted((ROOM / "templates").glob("*.html")))
CODE = "".join(path.read_text() for path in sorted(ROOM.glob("**/*.py")))
SHOWN = (
    *(v.Action, v.TargetKind, v.Ground, v.Category, v.Automation, v.EffectKind, v.Operation, v.EvidenceKind),
    *(v.EvidenceSupplier, v.ReferralReason, v.HoldReason, v.DismissalReason, v.AppealGround, v.AppealFlag, v.Band),
    *(v.CaseState, v.Outcome, v.Redress, v.CaseEventKind, v.CaseOrigin, v.MisfireKind, v.MisfireBaseline),
    *(v.RemedyState, v.RemedySteer, Role),
)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_texts_with_the_same_places():
    english, german = (words(language).texts for language in LANGUAGES)
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert fields(text) == fields(german[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_symbol_that_is_shown_has_a_name(language):
    told = words(language).texts
    missing = [
        f"{kind.__name__}.{symbol.value}"
        for kind in SHOWN
        for symbol in kind
        if symbol.value != "UNKNOWN" and f"{kind.__name__}.{symbol.value}" not in told
    ]
    assert not missing


def test_reasons_pods_components_and_triggers_of_the_packaged_rulebook_have_names():
    told = words("en").texts
    book: Rulebook = load_rulebook()
    assert {f"pod.{pod.name}" for pod in book.pods} <= told.keys()
    ours = {reason.value for reason in ReviewRefusal}
    unnamed = {reason for reason in ours if f"reason.{reason}" not in told}
    assert unnamed == {
        *("unknown_reversal", "reversal_confirmed", "unknown_directive", "directive_settled", "withdrawal_too_late")
    }, "only what the desk cannot be answered with may lack a name"


def test_every_text_that_is_asked_for_by_name_is_there():
    told = words("en").texts
    asked = set(re.findall(r"""\bt\(\s*'([a-z_.]+)'(?!\s*~)[,)]""", TEMPLATES))
    asked |= {f"flash.{key}" for key in re.findall(r"""visit\.tell\(\s*"([a-z_.]+)\"""", CODE)}
    missing = {key for key in asked if key not in told}
    assert not missing


def test_no_text_is_there_for_nobody():
    told = words("en").texts
    kinds = {kind.__name__ for kind in SHOWN} | {"pod", "reason", "component", "trigger"}
    everything = TEMPLATES + CODE
    unused = []
    for key in told:
        head, _, tail = key.rpartition(".")
        named = f"'{key}'" in everything or f'"{key}"' in everything or f"'{head}.'" in everything
        spoken = key.split(".")[0] in ("flash", "error", "unit", "keys", "decide", "chain", *kinds)
        if not (named or spoken or (tail in everything and f"{head}.'" in everything)):
            unused.append(key)
    assert not unused


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,en;q=0.5", "en"),
        ("fr;q=0.9, de;q=0.4", "de"),
        ("", "en"),
        ("*;q=x,,;;", "en"),
        ("en;q=0.1,de;q=0.2", "de"),
    ],
)
def test_the_browsers_favourite_language_is_chosen(header, language):
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 min"),
        (59_999, "0 min"),
        (60_000, "1 min"),
        (3_720_000, "1 h 2 min"),
        (90_061_000, "1 d 1 h"),
        (86_460_000, "1 d"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(ms, text):
    assert words("en").span(ms) == text


def test_a_clock_says_whether_it_is_over():
    assert words("en").clock(60_000, 0) == "1 min left"
    assert words("en").clock(0, 7_200_000) == "2 h over"
