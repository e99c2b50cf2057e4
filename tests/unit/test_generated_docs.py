"""The generated pages say what the code says."""

from pathlib import Path

import pytest

from topology.generate_docs import pages

FOLDER = Path(__file__).parents[2] / "docs" / "generated"


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_page_is_what_its_source_says(name):
    assert (FOLDER / name).read_text() == pages()[name], "run `make docs` and look at the difference"


def test_no_page_is_left_over_from_a_source_that_is_gone():
    assert {path.name for path in FOLDER.iterdir()} == set(pages())
