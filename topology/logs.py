"""Structured logs: an event name and fields; ids, never texts of people."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(log_format: str) -> None:
    """Log to standard error as `json` lines or for the `console`."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def logger() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    return structlog.get_logger()


class _AsOurs(logging.Handler):
    """What libraries log, in the form of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        log = logger().bind(logger=record.name, text=record.getMessage())
        if record.levelno < logging.ERROR:
            log.warning("library")
        else:
            log.error("library", exc_info=record.exc_info)


def take_over() -> None:
    """For a process that runs for long: warnings and errors of libraries, Kafka's client among them, are lines too."""
    root = logging.getLogger()
    root.handlers = [_AsOurs()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
