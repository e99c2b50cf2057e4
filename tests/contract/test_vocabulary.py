"""Our closed lists hold every code that platforms really send to the DSA Transparency Database."""

from __future__ import annotations

import csv
from enum import StrEnum

import pytest

from schemas.catalog import ROOT
from schemas.vocabulary import Automation, Category, Ground, Source

SAMPLE = ROOT.parent.parent / "shared" / "data" / "dsa_sor_sample.csv"


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the sample of statements of reasons is not at ../shared/data")
@pytest.mark.parametrize(
    ("column", "known"),
    [
        ("category", Category),
        ("source_type", Source),
        ("decision_ground", Ground),
        ("automated_decision", Automation),
    ],
)
def test_every_code_of_the_sample_is_known(column: str, known: type[StrEnum]):
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        codes = {row[column] for row in csv.DictReader(lines)}
    assert codes
    assert codes <= {each.value for each in known}
