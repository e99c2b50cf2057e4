"""Texts that people write and read at the desk. On topics they travel by reference; here is where they lie.

A folder: each text is a file named by the SHA-256 of its bytes, and its reference is `texts/<that>`. So a reference
tells nothing, the same text is kept once, and one that was altered is noticed. Appeal intake may keep statements here
too; a reference of any other form is shown as it is, for whoever can resolve it.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from desk.errors import Misconfigured

MAX_CHARACTERS: Final = 20_000
_REF: Final = re.compile(r"texts/([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, or why there is none."""

    ref: str
    text: str | None
    state: str
    """`here`, `elsewhere` (the reference is not of this form), `gone`, or `altered`."""


class Texts:
    """The folder.

    Raises:
        Misconfigured: it cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"RECOURSE_DESK_TEXTS: {folder} cannot be made ({error.strerror})") from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise Misconfigured(f"RECOURSE_DESK_TEXTS: {folder} may not be written by this process")

    def keep(self, text: str) -> str:
        """Keep a text; returns its reference.

        Raises:
            ValueError: it is longer than anybody would read.
        """
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"{len(text)} characters, at most {MAX_CHARACTERS}")
        data = text.encode()
        digest = sha256(data).hexdigest()
        path = self._folder / digest
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        return f"texts/{digest}"

    def read(self, ref: str, digest: str | None = None) -> Text:
        """The text behind a reference; `digest` is what the topic says it must hash to."""
        match = _REF.fullmatch(ref)
        if match is None:
            return Text(ref, None, "elsewhere")
        try:
            data = (self._folder / match[1]).read_bytes()
        except FileNotFoundError:
            return Text(ref, None, "gone")
        found = sha256(data).hexdigest()
        if found != match[1] or (digest is not None and digest != found):
            return Text(ref, None, "altered")
        return Text(ref, data.decode(errors="replace"), "here")
