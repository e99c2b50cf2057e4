"""What all verbs share: the terminal, and the settings of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from topology.settings import Settings

console = Console()


def settings_or_exit(**overrides: object) -> Settings:
    """The process's settings, with logging set up."""
    from topology import logs  # noqa: PLC0415 - `--help` must not wait for what settings load
    from topology.settings import load_settings  # noqa: PLC0415

    settings = load_settings(**overrides)
    logs.configure(settings.log_format)
    return settings
