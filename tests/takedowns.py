"""Ten years of published takedown notices, read in plain Python: the mapping and the decision logic are not asked."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

EVENTS = Path(__file__).parents[1].parent / "shared" / "data" / "dmca_events.csv"
DAY_MS = 86_400_000
WINDOW_MS = 184 * DAY_MS

needs_takedowns = pytest.mark.skipif(
    not EVENTS.exists(), reason=f"the takedown data is not at {EVENTS}: see data/README.md beside the project"
)


@dataclass(frozen=True)
class Expected:
    """One appeal of one account against one notice."""

    row: str
    user: str
    notice: str
    at: int
    shared: bool
    """The notice hit the account."""
    early: bool
    """The notice was published after the appeal."""


class File:
    """The rows, and the appeals in them."""

    def __init__(self):
        with EVENTS.open(newline="") as file:
            self.rows = list(csv.DictReader(file))
        self.by_id = {row["notice_id"]: row for row in self.rows}
        self.place = {row["notice_id"]: place for place, row in enumerate(self.rows)}
        self.appeals = [appeal for row in self.of("counternotice") for appeal in self._appeals(row)]

    def of(self, *kinds):
        return [row for row in self.rows if row["kind"] in kinds]

    def _appeals(self, row):
        answered = split(row["answers_notice_id"])
        shared = [(n, u) for n in answered for u in split(self.by_id[n]["owner_hashes"]) if u in owners(row)]
        pairs = shared or [(n, u) for n in answered or [""] for u in owners(row)]
        for notice, user in pairs:
            early = bool(notice) and self.place[notice] > self.place[row["notice_id"]]
            yield Expected(row["notice_id"], user, notice, millis(row["published_at"]), bool(shared), early)


def split(cell):
    return [part for part in cell.split(";") if part]


def owners(row):
    return split(row["owner_hashes"])


def millis(text):
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def refusals_of(file, window_ms=WINDOW_MS):
    """Each appeal that shares its account with its notice, and why it is refused, or None: plain arithmetic on dates.

    Too late, lifted before, said before.
    """
    lifted = {}
    for row in file.of("retraction", "reversal"):
        for notice in split(row["answers_notice_id"]):
            hit = owners(file.by_id[notice])
            for user in set(owners(row) or hit) & set(hit):
                lifted.setdefault((notice, user), (millis(row["ts_date"]), millis(row["published_at"])))
    said = set()
    for appeal in file.appeals:
        if not appeal.shared:
            continue
        about = (appeal.notice, appeal.user)
        submitted = millis(file.by_id[appeal.row]["ts_date"])
        expected = None
        if submitted - millis(file.by_id[appeal.notice]["ts_date"]) > window_ms:
            expected = "untimely"
        elif about in lifted and lifted[about][0] <= submitted and lifted[about][1] <= appeal.at:
            # Lifted before it was written, and known when it came; else there is a case, which the lift closes.
            expected = "already_reversed"
        elif about in said:
            expected = "duplicate"
        yield appeal, expected
        said.add(about)
