"""Examples and their golden bytes: what is on the topics today must be what we write tomorrow.

``python -m tests.contract.golden`` writes the bytes anew; the difference is a change of the wire and is reviewed.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from schemas import ALL_RECORDS, Codec, Record, from_json
from schemas.catalog import ROOT

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Example:
    """One example of a record."""

    record_type: type[Record]
    path: Path

    @property
    def record(self) -> Record:
        return from_json(self.record_type, self.path.read_bytes())

    @property
    def golden(self) -> Path:
        """Hexadecimal, in lines, so that a difference can be read."""
        return self.path.with_suffix(".hex")

    def __str__(self) -> str:
        return f"{self.record_type.__name__}/{self.path.stem}"


def examples() -> list[Example]:
    return [Example(each, path) for each in ALL_RECORDS for path in sorted((EXAMPLES / each.__name__).glob("*.json"))]


if __name__ == "__main__":
    for example in examples():
        lines = textwrap.wrap(Codec().encode(example.record).hex(), 64)
        example.golden.write_text("\n".join(lines) + "\n", "ascii")
