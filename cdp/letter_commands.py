"""Commands about dead letters: what was refused is looked at, sent again, or dropped."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from cdp.app import writer_of
from cdp.errors import RequestInvalid
from cdp.house import House, open_house
from cdp.ingest import EVENTS
from cdp.letters import Drawer, Hand, Letter, Resent, Which, drop, letters_of, open_letters, record_of, replay
from cdp.mapping import FileMapping, read_mapping
from cdp.serving import run
from cdp.terminal import StoreNames, chosen_stores, json_line, output, settings_of_command, table

CLIENT: Final = "cdp-officer"
COLUMNS: Final = ("id", "store", "reason", "field", "expected", "source", "first (UTC)", "last (UTC)", "seen")

dead_letters_group = typer.Typer(help="Records that were refused at the write door.", no_args_is_help=True)

LetterIds = Annotated[list[UUID], typer.Argument(help="Ids of letters, as the list tells them.")]
SomeIds = Annotated[list[UUID] | None, typer.Argument(help="Ids of letters; unset: all for which the options hold.")]
Actor = Annotated[str, typer.Option(help="Who does it; it is written down.")]
Reason = Annotated[str | None, typer.Option(help="Only those refused for this reason, such as ROW_INVALID.")]
Source = Annotated[str | None, typer.Option(help="Only those from this source: a file, or `events:CLIENT`.")]
Field = Annotated[str | None, typer.Option(help="Only those refused because of this field or column.")]


@dead_letters_group.command("list")
def list_command(
    reason: Reason = None,
    source: Source = None,
    field: Field = None,
    store: StoreNames = None,
    first: Annotated[int, typer.Option(min=1, max=10_000, help="How many of each store, the newest first.")] = 50,
) -> None:
    """Show what was refused, when and why; not what is in it."""
    settings = settings_of_command()

    async def found() -> list[tuple[str, list[Letter]]]:
        async with open_house(settings) as house:
            return [
                (name, await letters_of(house.stores[name], Which(reason, source, field), None, first + 1))
                for name in chosen_stores(settings, store)
            ]

    stores = run(found())
    more = f" (the newest {first:,}: there are more)" if any(len(letters) > first for _, letters in stores) else ""
    rows = [_row(name, letter) for name, letters in stores for letter in letters[:first]]
    output().print(table(f"Dead letters{more}", COLUMNS, rows))


def _row(store: str, letter: Letter) -> tuple[object, ...]:
    times = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (letter.first_at, letter.last_at))
    return letter.letter_id, store, letter.reason, letter.field, letter.expected, letter.source, *times, letter.seen


@dead_letters_group.command("show")
def show_command(
    letter: Annotated[UUID, typer.Argument(help="Id of a letter, as the list tells it.")], *, actor: Actor
) -> None:
    """Open a letter and print the record in it as JSON; it is a read of personal data, and written down as one."""
    settings = settings_of_command()

    async def opened() -> Any:
        async with open_house(settings) as house:
            for drawer in _drawers(house):
                if found := await open_letters(drawer, [letter], _hand(actor), "opened"):
                    return record_of(found[letter].text)
            raise _unknown(letter)

    record = run(opened())
    typer.echo(json_line(record) if isinstance(record, dict) else json_line({"record": record}))


@dead_letters_group.command("replay")
def replay_command(  # noqa: PLR0913 - a command has as many options as it has
    letters: SomeIds = None,
    *,
    actor: Actor,
    reason: Reason = None,
    source: Source = None,
    field: Field = None,
    store: StoreNames = None,
    mapping: Annotated[
        str | None, typer.Option(help="Mapping for rows of files, where it is not a shipped one.")
    ] = None,
) -> None:
    """Send records again, from where they came; what goes in takes its letter along, what is refused is counted."""
    settings, which = settings_of_command(), Which(reason, source, field)
    if not letters and which == Which():
        raise typer.BadParameter("expected ids, or one of --reason, --source, --field")
    plan = None if mapping is None else read_mapping(mapping, EVENTS)

    async def sent() -> list[Resent]:
        async with open_house(settings) as house:
            drawers = [drawer for drawer in _drawers(house) if drawer.store.name in chosen_stores(settings, store)]
            resent = []
            for drawer in drawers:
                resent += await _replay(house, drawer, letters or which, _hand(actor), plan)
            for letter in letters or ():
                if letter not in {one.letter_id for one in resent}:
                    raise _unknown(letter)
            return resent

    resent = run(sent())
    counts = Counter({"letters": len(resent), "gone": sum(one.gone for one in resent)})
    counts.update(f"events {outcome.status.lower()}" for one in resent for outcome in one.outcomes)
    output().print(table("Sent again", ("what", "number"), counts.items()))
    why = Counter((o.code or "", o.field or "", o.expected or "") for one in resent for o in one.outcomes if o.code)
    if why:
        rows = [(*one, number) for one, number in why.most_common()]
        output().print(table("Refused again", ("reason", "field", "expected", "events"), rows))


async def _replay(
    house: House, drawer: Drawer, wanted: Sequence[UUID] | Which, hand: Hand, plan: FileMapping | None
) -> list[Resent]:
    """Some letters, or all of a kind, a page at a time: those that stay are not met twice."""
    writer = writer_of(house)
    if not isinstance(wanted, Which):
        return await replay(drawer, writer, wanted, hand, plan)
    resent: list[Resent] = []
    after: tuple[datetime, UUID] | None = None
    while page := await letters_of(drawer.store, wanted, after):
        resent += await replay(drawer, writer, [one.letter_id for one in page], hand, plan)
        after = page[-1].first_at, page[-1].letter_id
    return resent


@dead_letters_group.command("drop")
def drop_command(
    letters: LetterIds,
    *,
    why: Annotated[str, typer.Option(help="Why, as a code such as TEST_DATA; it is written down.")],
    actor: Actor,
) -> None:
    """Take letters away for good. Nothing of them is left but who did it, when and why."""
    settings = settings_of_command()

    async def dropped() -> list[UUID]:
        async with open_house(settings) as house:
            return [one for drawer in _drawers(house) for one in await drop(drawer, letters, _hand(actor), why)]

    gone = run(dropped())
    for letter in letters:
        if letter not in gone:
            raise _unknown(letter)
    output().print(f"{len(gone):,} dropped")


def _drawers(house: House) -> list[Drawer]:
    return [Drawer(store, house.rings[name], house.trails[name]) for name, store in house.stores.items()]


def _hand(actor: str) -> Hand:
    return Hand(CLIENT, actor, "cli")


def _unknown(letter: UUID) -> RequestInvalid:
    return RequestInvalid("ID_UNKNOWN", f"{letter}: expected the id of a dead letter")
