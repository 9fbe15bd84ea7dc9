"""What commands share: their settings and options; answers on standard output, troubles as one line each on standard
error.
"""

import json
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cdp.errors import CdpError, RequestInvalid, SettingsInvalid
from cdp.event import instant_of as instant_in
from cdp.logs import configure_logs
from cdp.settings import Settings, read_settings
from privacy.errors import PrivacyError

FILE: Final = {"exists": True, "dir_okay": False, "readable": True}
StoreNames = Annotated[list[str] | None, typer.Option("--store", help="Only this store; may be repeated.")]

WRONG_SETTINGS, REFUSED = 2, 1
SENTENCE: Final = 3
"""So many spaces make one."""
FOLDED: Final = 24
"""How narrow a column of sentences may become."""

NOT_MIGRATED = "the store has no tables, or older ones: run `cdp migrate`"


def settings_of_command(*, serving: bool = False) -> Settings:
    """The settings of this process. A command that ends logs only warnings: its output is what it was asked for."""
    settings = read_settings()
    configure_logs("WARNING" if not serving and settings.log_level == "INFO" else settings.log_level)
    return settings


def text_of(file: Path) -> str:
    """The text of a file, line ends included; raises RequestInvalid TEXT_INVALID unless it is UTF-8."""
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise RequestInvalid("TEXT_INVALID", f"{file}: not UTF-8") from None


def chosen_stores(settings: Settings, names: list[str] | None) -> Sequence[str]:
    """The stores a command is about: those that were named, else all. Raises typer.BadParameter."""
    check_known("store", names or (), settings.store_names)
    return names or settings.store_names


def check_known(option: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raises typer.BadParameter for a value of an option that is none of those known."""
    if unknown := [name for name in given if name not in known]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(known)}", param_hint=f"--{option}")


def instant_of(option: str, given: str | None) -> datetime:
    """The instant of an option, by default now. Raises typer.BadParameter for one without its offset."""
    try:
        return datetime.now(UTC) if given is None else instant_in(given)
    except ValueError:
        expected = "expected an instant with its offset, such as 2026-01-31T08:00:00Z"
        raise typer.BadParameter(expected, param_hint=f"--{option}") from None


def output() -> Console:
    """Standard output; what is not a terminal gets plain text."""
    return Console(highlight=False, soft_wrap=True)


def progress(console: Console) -> Progress:
    """Bars for long work: what is done, how much of it, for how long."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Table:
    """A table of text; numbers to the right. Sentences are folded and nothing else, however narrow the terminal: an id
    is there to be copied.
    """
    made, least = Table(title=title, title_justify="left"), 1
    kept = [list(row) for row in rows]
    told = [[f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in kept]
    for number, column in enumerate(columns):
        numeric = bool(kept) and all(isinstance(row[number], int) for row in kept)
        folds = any(row[number].count(" ") >= SENTENCE for row in told)
        made.add_column(column, justify="right" if numeric else "left", no_wrap=not folds, overflow="fold")
        width = max(map(cell_len, (column, *(row[number] for row in told))))
        least += 3 + (min(width, FOLDED) if folds else width)
    for row in told:
        made.add_row(*row)
    if least > output().width:
        made.width = least
    return made


def json_line(entry: Mapping[str, object]) -> str:
    """One JSON object in one line."""
    return json.dumps(entry, ensure_ascii=False, sort_keys=True)


def exit_code(error: Exception) -> int:
    """2 for wrong settings, 1 for everything else."""
    return WRONG_SETTINGS if isinstance(error, SettingsInvalid) else REFUSED


def troubles(error: Exception) -> list[str]:
    """The lines that tell an error.

    The text of an error that is not ours stays untold: it may hold a value of a customer.
    """
    if isinstance(error, SettingsInvalid):
        return list(error.problems)
    if isinstance(error, CdpError | PrivacyError):
        return [f"{error.code}: {' '.join(str(error).split())}" if str(error) else error.code]
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return [f"STORE_NOT_MIGRATED: {NOT_MIGRATED}"]
    if isinstance(error, OSError) and error.strerror:
        return [f"{error.strerror}: {error.filename}" if error.filename else error.strerror]
    return [f"unexpected {type(error).__name__} at {_place(error)}; CDP_LOG_LEVEL=DEBUG shows where it came from"]


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
