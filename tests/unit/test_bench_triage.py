"""The benchmark's step gives the same bytes whichever way it is done."""

from __future__ import annotations

from bench import triage, workload


def test_the_part_of_an_appeal_that_is_read_gives_the_case_that_the_whole_one_gives():
    for before, (_, _, value, _) in enumerate(workload.small_appeals("appeals", 200, 20, seed=3)):
        appeals, cents, case = triage.triage(before, 7 * before, triage.decode(value))
        user, action, amount, submitted_at, appeal_id, user_id, statement = triage.read(value, 0)
        judged = triage.judge(before, action, amount, submitted_at)
        assert triage.write(appeal_id, user_id, *judged, before, statement) == triage.encode(case)
        assert (user, appeals, cents) == (case["user_id"], before + 1, 7 * before + amount)
