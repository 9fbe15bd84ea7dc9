"""A log line holds what is on the list and nothing else, whoever writes it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cdp.logs import configure_logs

CANARY = "+8613800138000"


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    lines = Lines()
    configure_logs("INFO", lines.stream)
    yield lines
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fail() -> None:
    raise ValueError(CANARY)


def test_only_listed_keys_leave(lines: Lines) -> None:
    structlog.get_logger("cdp").info("store opened", store="cn", count=3, number=CANARY, name=CANARY, stores=["cn"])

    (line,) = lines.read()
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "store opened",
        "level": "info",
        "logger": "cdp",
        "store": "cn",
        "count": 3,
        "stores": ["cn"],
    }


def test_an_object_leaves_only_its_class(lines: Lines) -> None:
    structlog.get_logger("cdp").info("loaded", records={"number": CANARY}, batch=object(), table="x" * 500)

    (line,) = lines.read()
    assert (line["records"], line["batch"], len(line["table"])) == ("dict", "object", 200)


def test_an_exception_leaves_class_and_place(lines: Lines) -> None:
    try:
        fail()
    except ValueError as error:
        structlog.get_logger("cdp").error("request failed", exc_info=error)
        structlog.get_logger("cdp").exception("request failed")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")

    assert CANARY not in lines.stream.getvalue()
    for line in lines.read():
        assert (line["error"], line["where"].split(":")[0], line["level"]) == ("ValueError", "test_logs.py", "error")


def test_other_libraries_leave_their_template(lines: Lines) -> None:
    logging.getLogger("a.library").info('%s - "%s"', CANARY, CANARY)
    logging.getLogger("x").warning({"number": CANARY})
    logging.getLogger("x").info("in text", extra={"number": CANARY})

    assert CANARY not in lines.stream.getvalue()
    assert [(line["event"], line["logger"]) for line in lines.read()] == [
        ('%s - "%s"', "a.library"), ("dict", "x"), ("in text", "x"),
    ]  # fmt: skip


def test_the_level_is_kept(lines: Lines) -> None:
    structlog.get_logger("cdp").debug("quiet")
    logging.getLogger("x").debug("quiet")

    assert lines.read() == []
