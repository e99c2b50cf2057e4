"""How reference systems answer: the same for the same attempt, whatever came before; nothing goes wrong in the calm."""

from collections import Counter

from topology.demo.systems import Deed, Manner, Manners, Shares

ROUGH = Shares(busy=0.3, broken=0.1, silent=0.1, lost=0.1, twice=0.3, longest_busy=3)


def drawn(manners: Manners, attempt: int = 1) -> list[Manner]:
    return [manners.of(f"d-{n}", attempt) for n in range(2_000)]


def test_same_attempt_is_answered_alike_in_any_order():
    assert drawn(Manners(3, ROUGH)) == list(
        reversed([Manners(3, ROUGH).of(f"d-{n}", 1) for n in reversed(range(2_000))])
    )
    assert drawn(Manners(3, ROUGH)) != drawn(Manners(4, ROUGH))


def test_everything_that_can_go_wrong_does_about_as_often_as_asked():
    manners = drawn(Manners(5, ROUGH))
    deeds = Counter(manner.deed for manner in manners)
    assert set(deeds) == set(Deed)
    assert 450 < deeds[Deed.BE_BUSY] < 750
    assert 90 < deeds[Deed.BE_BROKEN] < 190
    assert 500 < sum(manner.again is not None for manner in manners) < 700
    assert {manner.tells_amount for manner in manners} == {True, False}
    assert len({round(manner.delay, 1) for manner in manners}) == 11


def test_busy_system_is_free_after_its_longest_time():
    assert Deed.BE_BUSY not in {manner.deed for manner in drawn(Manners(5, ROUGH), attempt=4)}


def test_nothing_goes_wrong_in_the_calm():
    assert set(drawn(Manners(5, ROUGH).calm())) == {Manner()}
