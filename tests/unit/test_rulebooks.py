"""A rulebook that is read back is the one that was kept, or it is refused."""

import pytest

from tests.unit.builders import PACKAGED_RULEBOOK
from topology.rulebook_file import PACKAGED, load_rulebook_file
from topology.rulebooks import KeptRulebooks, RulebookNotKept, proven

TEXT = PACKAGED.read_bytes()


def test_text_is_kept_beside_the_book_and_gives_it_again() -> None:
    file = load_rulebook_file()
    assert file.text.encode() == TEXT
    assert proven(file.book.digest, file.text.encode()) == file.book


def test_rulebook_is_found_by_its_digest_and_parsed_once() -> None:
    kept = KeptRulebooks({PACKAGED_RULEBOOK.digest: TEXT})
    assert kept(PACKAGED_RULEBOOK.digest).digest == PACKAGED_RULEBOOK.digest
    assert kept(PACKAGED_RULEBOOK.digest) is kept(PACKAGED_RULEBOOK.digest)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEXT.replace(b"lease: 30min", b"lease: 20min"), "has the digest"),
        (b"name: x", "is no rulebook for this version"),
        (b"\xff\xfe", "is no rulebook for this version"),
    ],
)
def test_text_that_is_not_what_was_kept_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(RulebookNotKept, match=told):
        KeptRulebooks({PACKAGED_RULEBOOK.digest: text})(PACKAGED_RULEBOOK.digest)


def test_rulebook_that_is_not_there_is_named() -> None:
    with pytest.raises(RulebookNotKept, match="the rulebook 0123 is not in the topic"):
        KeptRulebooks({})("0123")
