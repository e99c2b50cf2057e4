"""Debian's Chromium without a window: the machine's, else the package with the libraries and fonts that it needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from topology.embedded import silent
from topology.embedded.debian import program_with_libraries
from topology.embedded.jars import cache_dir

_SHELL = "chromium-headless-shell"
_PREFERRED = "".join(
    f"<alias binding='same'><family>{name}</family><prefer><family>{font}</family></prefer></alias>"
    for name, font in (("system-ui", "DejaVu Sans"), ("sans-serif", "DejaVu Sans"), ("monospace", "DejaVu Sans Mono"))
)


def chromium() -> Path:
    """A program that starts it; fetched once, kept beside the servers' jars."""
    for name in (_SHELL, "chromium"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    command = program_with_libraries(_SHELL, package=_SHELL, within="usr/lib/chromium", progress=silent)
    root = Path(command[-1]).parents[3]
    fonts = root / "fonts.conf"
    fonts.write_text(
        f'<?xml version="1.0"?><fontconfig><dir>{root}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>'
        f"<cachedir>{cache_dir()}/fonts</cachedir>{_PREFERRED}</fontconfig>\n"
    )
    starter = root / "start-chromium"
    starter.write_text(f'#!/bin/sh\nFONTCONFIG_FILE={fonts} exec {" ".join(command)} "$@"\n')
    starter.chmod(0o755)
    return starter
