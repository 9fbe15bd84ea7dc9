"""Structured logs: one JSON object a line, and in it only keys that cannot hold a personal value.

What is not on the list is dropped, whoever wrote it. An exception leaves its class and place, never its text; a record
of another library leaves its template, never what was put into it.
"""

import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

_KEYS: Final = """
    at attempt audit_id batch bytes client code count customers document epoch error event host kind level
    limit logger migration months port purpose records rejected seconds sequence status store stores table
    version where witness worker
"""
ALLOWED_KEYS: Final = frozenset(_KEYS.split())
TEXT_CHARACTERS: Final = 200

EventDict = MutableMapping[str, Any]


def configure_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line, ours and other libraries', through the allow-list to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_template_only],
            processors=[*_PROCESSORS, structlog.processors.JSONRenderer(ensure_ascii=False)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _template_only(_: object, __: str, event: EventDict) -> EventDict:
    """Another library's record: the text it was written with, before any value was put in."""
    record: logging.LogRecord = event["_record"]
    event["event"] = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    event["exc_info"] = record.exc_info
    return event


def _describe(_: object, method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord | None = event.get("_record")
    event["level"] = record.levelname.lower() if record else method
    event["logger"] = record.name if record else None
    error = event.pop("exc_info", None)
    if error is True or error is None:
        error = sys.exc_info() if error else (None, None, None)
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    if error[0] is not None:
        event["error"], event["where"] = error[0].__name__, _place(error[2])
    return event


def _place(trace: TracebackType | None) -> str:
    """File and line of the innermost frame."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def _allowed(_: object, __: str, event: EventDict) -> EventDict:
    return {key: _plain(value) for key, value in event.items() if key in ALLOWED_KEYS and value is not None}


def _plain(value: object) -> object:
    """Numbers and short text as they are, lists of them, and of anything else its class alone."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:TEXT_CHARACTERS]
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return type(value).__name__


_PROCESSORS: Final = (_describe, structlog.processors.TimeStamper("iso", utc=True, key="at"), _allowed)
