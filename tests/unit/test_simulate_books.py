"""What differs between two rulebooks, told by content."""

from topology.rulebook_file import PACKAGED, load_rulebook, parse_rulebook
from topology.simulate.books import book_changes

TEXT = PACKAGED.read_text(encoding="utf-8")
BOOK = load_rulebook()


def told(*changes):
    """The differences that these replacements in the packaged rulebook make."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return [str(change) for change in book_changes(BOOK, parse_rulebook(text))]


def test_the_same_content_differs_in_nothing_however_it_is_written():
    assert (
        told(("handling: 24h", "handling: 1d"), ("[en, de, fr]", "[fr, en, de]"), ("# Come before", "# Before")) == []
    )


def test_a_value_is_told_with_its_path_and_in_the_unit_of_people():
    assert told(("lease: 30min", "lease: 90min"), ("full_reach: 1000000", "full_reach: 60000")) == [
        "impact.full_reach: 1000000 -> 60000",
        "review.lease: 30min -> 90min",
    ]


def test_items_of_a_list_go_by_name_and_those_without_one_by_position():
    assert told(("at: 400", "at: 420"), ("rate: 0.656", "rate: 0.7")) == [
        "wrongfulness.priors[1].rate: 0.656 -> 0.7",
        "bands[P2].at: 400 -> 420",
    ]


def test_what_only_one_has_is_told_as_a_whole():
    rule = "  - name: legal orders\n    when: {flags: [legal_order]}\n    needs: [law]\n    pod: legal\n"
    assert told((rule, "")) == [
        "routing[legal orders]: {name: legal orders, when: {flags: [legal_order]}, needs: [law], pod: legal} -> (none)"
    ]
    assert told(("when: {flags: [personal_safety], bands: [P0, P1]}", "when: {flags: [personal_safety]}")) == [
        "routing[personal safety first].when.bands: [P0, P1] -> (none)"
    ]


def test_another_order_of_the_same_rules_is_a_difference():
    live = "  - name: live\n    when: {target_kinds: [livestream]}\n    needs: [live]\n    pod: livestream\n"
    [line] = told((live, ""), ("routing:\n", "routing:\n" + live))
    assert line.startswith("routing (order): [legal orders], ")
    assert " -> [live], [legal orders], " in line


def test_each_difference_knows_its_section():
    new = parse_rulebook(TEXT.replace("at: 400", "at: 420").replace("lease: 30min", "lease: 1h"))
    assert [change.section for change in book_changes(BOOK, new)] == ["bands", "review"]
