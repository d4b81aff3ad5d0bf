"""Logs: one line of JSON for each event on standard error, whoever speaks, Ganymede or a library."""

import logging
import sys
import threading
from types import TracebackType

import structlog
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

STEPS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

log = structlog.get_logger()


class _Retold(logging.Handler):
    """Writes what a library logs as Ganymede writes its own events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, at once: others write to the same file."""
        sys.stderr.write(self.format(record) + "\n")


def configure(*talkative: str) -> None:
    """Log as JSON; of the standard library's loggers warnings, and of those named what they tell besides.

    What nothing catches ends up as one line as well, its traceback in a field.
    """
    structlog.configure(
        processors=[*STEPS, JSONRenderer()],
        # Looked up at every event: who redirects standard error redirects the log.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )
    handler = _Retold()
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*STEPS, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.captureWarnings(True)
    for name in talkative:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.INFO)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("uncaught", exc_info=(kind, error, traceback))


def _uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value is not None:
        thread = uncaught.thread.name if uncaught.thread else None
        log.critical("uncaught", thread=thread, exc_info=uncaught.exc_value)
