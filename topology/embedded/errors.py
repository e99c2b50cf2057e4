"""The one error of the embedded servers."""


class EmbeddedError(RuntimeError):
    """A server could not be provided; the text says what failed, where, and what to do next."""
