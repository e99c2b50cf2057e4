"""What can go wrong in a demo."""

from topology.engine.errors import EngineError


class DemoError(EngineError):
    """The demo cannot go on; the text says why and where to look."""
