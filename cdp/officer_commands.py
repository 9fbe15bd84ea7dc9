"""Commands for privacy officers: what they take away; receipts of consent, which anybody can check."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cdp.app import front_door
from cdp.auth import Caller, Role
from cdp.errors import AuthError, RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.house import House, open_house
from cdp.officer.exports import ABOUT_NOBODY, QUESTIONS, What, csv_of, next_page, rows_of
from cdp.serving import run
from cdp.terminal import FILE, json_line, settings_of_command, text_of
from privacy.receipts import verify

AUDIT_PURPOSE: Final = "legal.audit"

officer_group = typer.Typer(help="What privacy officers take away.", no_args_is_help=True)
receipt_group = typer.Typer(help="Receipts of consent, and the keys they are signed with.", no_args_is_help=True)


class Form(StrEnum):
    """How an export is written: a table, or one JSON object a line."""

    CSV = "csv"
    JSON = "json"


@officer_group.command("export")
def officer_export_command(  # noqa: PLR0913 - a command has as many options as it has
    *,
    what: Annotated[
        What,
        typer.Option(help="What is processed, where it may go; what a customer said, who read it, what would stop."),
    ],
    actor: Annotated[str, typer.Option(help="Who takes it away; it is written down.")],
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.CSV,
    number: Annotated[str | None, typer.Option(help="A number of the customer it is about.")] = None,
    key: Annotated[str | None, typer.Option(help="The operator's own key of that customer, instead.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Of a preview: what they would take back.")] = None,
    region: Annotated[str | None, typer.Option(help="The region whose records it is about.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Of reads: since when, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Of reads: until when, in UTC; unset: now.")] = None,
) -> None:
    """Print what an officer may know as CSV or JSON; it is asked and written down like any question."""
    settings = settings_of_command()
    named = (number is not None) + (key is not None)
    if named != (what not in ABOUT_NOBODY):
        raise typer.BadParameter(f"--number or --key is needed, but for {' and '.join(ABOUT_NOBODY)}")
    if (since is None) != (what is not What.ACCESS) or (purpose is None) != (what is not What.PREVIEW):
        raise typer.BadParameter("--from is needed for access alone, --purpose for preview alone")
    between = {"from": since, "to": until}
    variables = {name: at.replace(tzinfo=UTC).isoformat() for name, at in between.items() if at is not None}
    who = {"number": number} if key is None else {"customerKey": key}
    asked = {"who": who, "region": region, "purpose": purpose, "skip": 0, **variables}

    stores, purposes = tuple(settings.store_names), frozenset({AUDIT_PURPOSE})
    caller = Caller("cdp-officer", purposes=purposes, stores=stores, role=Role.OFFICER, channel="cli", actor=actor)

    async def export() -> list[dict[str, Any]]:
        async with open_house(settings) as house:
            return [row async for row in exported(house, caller, what, asked)]

    rows = run(export())
    typer.echo(csv_of(rows) if form is Form.CSV else "\n".join(map(json_line, rows)), nl=form is Form.JSON)


async def exported(
    house: House, caller: Caller, what: What, variables: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """The rows of every page. Raises RequestInvalid where nobody is found, or nothing may be known of them."""
    front = front_door(house)
    await front.watch.look_everywhere()
    page: dict[str, Any] | None = variables
    while page is not None:
        try:
            answer = await front.answer(GraphqlRequest(QUESTIONS[what], variables=page), caller)
        except (RequestInvalid, AuthError) as refused:
            await front.refused(caller, refused.code)
            raise
        found = json.loads(answer.body)["data"]["found"]
        if found is None:
            raise RequestInvalid("NOT_FOUND", "nobody is known by this here, or it may not be read")
        for row in rows_of(what, found):
            yield row
        page = next_page(what, found, page)


@receipt_group.command("keys")
def receipt_keys_command() -> None:
    """Print the public key of each store, by which anybody can check its receipts."""
    settings = settings_of_command()

    async def keys() -> dict[str, bytes]:
        async with open_house(settings) as house:
            return {name: ring.signer.public_key for name, ring in house.rings.items()}

    for name, key in run(keys()).items():
        typer.echo(f"{name} {b64encode(key).decode()}")


@receipt_group.command("verify")
def receipt_verify_command(
    file: Annotated[Path, typer.Argument(help="The receipt as it was given out.", **FILE)],
    key: Annotated[str, typer.Option(help="The store's public key, as `cdp receipt keys` prints it.")],
) -> None:
    """Check a receipt, its signature and its place in the log, and print what it says; fails where it was altered.

    Asks no store.
    """
    try:
        public_key = b64decode(key, validate=True)
    except ValueError:
        raise typer.BadParameter("expected a key in base64", param_hint="--key") from None
    receipt, place = verify(text_of(file), public_key)
    typer.echo(json_line(receipt))
    if place is not None:
        typer.echo(f"its event is entry {place:,} of the log")
