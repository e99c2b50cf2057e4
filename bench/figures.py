"""What every measurement writes down: its figures, and the machine that they are of."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """What ran it, for the figures' reader."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def told(found: Mapping[str, Any]) -> str:
    """That machine in a line."""
    return f"{found['cores']} cores, Python {found['python']}, {found['system']}"


def write(file: str | None, summary: Mapping[str, Any]) -> None:
    """Write the figures as JSON, if a file was asked for."""
    if file:
        Path(file).write_text(json.dumps(summary, indent=2) + "\n")
