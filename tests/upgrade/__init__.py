"""The previous version of the program, whole and frozen, to run beside this one.

`previous.tar.xz` is the source of what was released before, as git had it; a clone without history has it too. After
a release: `python -m tests.upgrade COMMIT` freezes that commit, and the rolling upgrade starts from it.
"""

from __future__ import annotations

import io
import json
import lzma
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import fastavro

from schemas.catalog import fingerprint
from schemas.codec import SINGLE_OBJECT
from schemas.records import Record
from tests.contract import oracle
from tests.contract.strategies import fields_of

FOLDER = Path(__file__).parent
ARCHIVE = FOLDER / "previous.tar.xz"
NOTE = FOLDER / "previous.json"
ROOMS = ("schemas/*.py", "schemas/avro", "schemas/history", "schemas/records", "processors", "topology")
ROOT = FOLDER.parents[1]


def archived(commit: str) -> bytes:
    """The rooms of a commit as a tar, the same bytes each time."""
    command = ["git", "archive", "--format=tar", commit, *ROOMS]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def freeze(commit: str) -> None:
    """Make a commit the previous version."""
    shown = subprocess.run(
        ["git", "show", "--no-patch", "--format=%H %cs", commit], cwd=ROOT, capture_output=True, text=True, check=True
    )
    whole, day = shown.stdout.split()
    ARCHIVE.write_bytes(lzma.compress(archived(whole), preset=9 | lzma.PRESET_EXTREME))
    NOTE.write_text(json.dumps({"commit": whole, "date": day}, indent=1) + "\n")


def written_before(record: Record, folder: Path) -> bytes:
    """The record as the version unpacked here writes it: producers are replaced after the workers."""
    versions = (folder / "schemas" / "history" / type(record).__name__).glob("v*.avsc")
    newest = max(versions, key=lambda path: int(path.stem[1:]))
    schema = json.loads(newest.read_text("utf-8"))
    names = {field["name"] for field in schema["fields"]}
    out = io.BytesIO()
    content = {name: value for name, value in fields_of(record).items() if name in names}
    fastavro.schemaless_writer(out, _parsed(newest), content)
    return SINGLE_OBJECT + fingerprint(schema) + out.getvalue()


@cache
def _parsed(path: Path) -> object:
    return fastavro.parse_schema(oracle.plain_times(json.loads(path.read_text("utf-8"))))


def unpack(folder: Path) -> Path:
    """Put it into a folder; what is there can be run with `PYTHONPATH`."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(ARCHIVE.read_bytes()))) as tar:
        tar.extractall(folder, filter="data")
    return folder
