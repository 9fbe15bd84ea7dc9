"""Commands in groups: about the stores' keys, audit trails, registered documents and policy; for officers; receipts."""

import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cdp.app import check_document, front_door
from cdp.auth import Caller, Role
from cdp.consent.policy_rows import load_policy
from cdp.documents import register_document
from cdp.errors import AuthError, RequestInvalid
from cdp.exchange import GraphqlRequest
from cdp.house import House, open_databases, open_house
from cdp.officer.exports import QUESTIONS, What, csv_of, next_page, rows_of
from cdp.reports import audit_entries, audit_reports, document_rows, key_rows
from cdp.serving import run
from cdp.terminal import FILE, StoreNames, chosen_stores, json_line, output, settings_of_command, table, text_of
from privacy.receipts import verify
from privacy.rows import PolicyRows
from privacy.rules import read_rules

keys_group = typer.Typer(help="The keys of the stores.", no_args_is_help=True)
audit_group = typer.Typer(help="The audit trail of the stores.", no_args_is_help=True)
documents_group = typer.Typer(help="The registered documents: all that a partner may run.", no_args_is_help=True)
policy_group = typer.Typer(help="The policy of the stores: what the law asks, as a file.", no_args_is_help=True)
officer_group = typer.Typer(help="What privacy officers take away.", no_args_is_help=True)
receipt_group = typer.Typer(help="Receipts of consent, and the keys they are signed with.", no_args_is_help=True)
GROUPS: Final[Mapping[str, typer.Typer]] = {
    "keys": keys_group,
    "audit": audit_group,
    "documents": documents_group,
    "policy": policy_group,
    "officer": officer_group,
    "receipt": receipt_group,
}

AUDIT_PURPOSE: Final = "legal.audit"

PolicyFile = Annotated[Path, typer.Argument(help="TOML file with the rules, as privacy/rules.toml has them.", **FILE)]


class Form(StrEnum):
    """How an export is written: a table, or one JSON object a line."""

    CSV = "csv"
    JSON = "json"


@keys_group.command("status")
def keys_status_command(store: StoreNames = None) -> None:
    """Show which keys each store has, and how many data keys of customers."""
    settings = settings_of_command()
    rows = run(key_rows(settings, chosen_stores(settings, store)))
    output().print(table("Keys", ("store", "kind", "epoch", "number"), rows))


@audit_group.command("tail")
def audit_tail_command(
    store: StoreNames = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10_000, help="Entries of each store.")] = 20,
) -> None:
    """Print the newest entries, oldest first, as one JSON object a line."""
    settings = settings_of_command()
    for entry in run(audit_entries(settings, chosen_stores(settings, store), number)):
        typer.echo(json_line(entry))


@audit_group.command("verify")
def audit_verify_command(store: StoreNames = None) -> None:
    """Walk every chain of the trail; fails where an entry is missing, moved or changed."""
    settings = settings_of_command()
    reports = run(audit_reports(settings, chosen_stores(settings, store)))
    for name, report in reports.items():
        typer.echo(f"{name}: {report.entries:,} entries in {report.workers:,} chains")
        broken = (f"{name}: the chain of {at.worker} does not fit at entry {at.sequence:,}" for at in report.breaks)
        typer.echo("\n".join(broken), nl=bool(report.breaks))
    if count := sum(len(report.breaks) for report in reports.values()):
        raise RequestInvalid("AUDIT_BROKEN", f"{count} chains are not as they were written")


@documents_group.command("register")
def documents_register_command(
    files: Annotated[list[Path], typer.Argument(help="One operation each, as the client sends it.", **FILE)],
) -> None:
    """Check documents against the schema and register them in every store; prints the hash of each."""
    settings = settings_of_command()
    sources = [(path, text_of(path)) for path in files]
    for _, source in sources:
        check_document(source)

    async def register() -> None:
        async with open_databases(settings) as stores:
            for path, source in sources:
                digest = await register_document(stores.values(), path.stem, source, datetime.now(UTC))
                output().print(f"{digest}  {path.stem}")

    run(register())


@documents_group.command("list")
def documents_list_command(store: StoreNames = None) -> None:
    """Show the registered documents of each store."""
    settings = settings_of_command()
    rows = run(document_rows(settings, chosen_stores(settings, store)))
    output().print(table("Documents", ("store", "name", "SHA-256", "registered (UTC)"), rows))


@policy_group.command("check")
def policy_check_command(file: PolicyFile) -> None:
    """Check a policy file and count what is in it, or say the first thing that is wrong. Asks no store."""
    rows = read_rules(text_of(file))
    typer.echo(f"{file.name}: {_summary(rows)}")


@policy_group.command("load")
def policy_load_command(file: PolicyFile) -> None:
    """Check a policy file and make it the policy of every store; its version must be newer than theirs."""
    settings = settings_of_command()
    rows = read_rules(text_of(file))

    async def load() -> list[str]:
        async with open_databases(settings) as stores:
            return await load_policy(stores.values(), rows, datetime.now(UTC))

    typer.echo(f"{', '.join(run(load()))}: {_summary(rows)}")


@officer_group.command("export")
def officer_export_command(  # noqa: PLR0913 - a command has as many options as it has
    *,
    what: Annotated[What, typer.Option(help="Records of processing, what a customer said, or who read their data.")],
    actor: Annotated[str, typer.Option(help="Who takes it away; it is written down.")],
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.CSV,
    number: Annotated[str | None, typer.Option(help="A number of the customer it is about.")] = None,
    region: Annotated[str | None, typer.Option(help="The region whose records it is about.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Of reads: since when, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Of reads: until when, in UTC; unset: now.")] = None,
) -> None:
    """Print what an officer may know as CSV or JSON; it is asked and written down like any question."""
    settings = settings_of_command()
    if (number is None) != (what is What.PROCESSING) or (since is None) != (what is not What.ACCESS):
        raise typer.BadParameter("--number is needed but for processing, --from for access alone")
    between = {"from": since, "to": until}
    variables = {name: at.replace(tzinfo=UTC).isoformat() for name, at in between.items() if at is not None}
    asked = {"who": {"number": number}, "region": region, "skip": 0, **variables}

    async def export() -> list[dict[str, Any]]:
        async with open_house(settings) as house:
            caller = Caller(
                "cdp-officer",
                purposes=frozenset({AUDIT_PURPOSE}),
                stores=tuple(settings.store_names),
                role=Role.OFFICER,
                channel="cli",
                actor=actor,
            )
            return [row async for row in exported(house, caller, what, asked)]

    rows = run(export())
    typer.echo(csv_of(rows) if form is Form.CSV else "\n".join(map(json_line, rows)), nl=form is Form.JSON)


async def exported(
    house: House, caller: Caller, what: What, variables: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """The rows of every page. Raises RequestInvalid where nobody is found, or nothing may be known of them."""
    front = front_door(house)
    page: dict[str, Any] | None = variables
    while page is not None:
        try:
            answer = await front.answer(GraphqlRequest(QUESTIONS[what], variables=page), caller)
        except (RequestInvalid, AuthError) as refused:
            await front.refused(caller, refused.code)
            raise
        found = json.loads(answer.body)["data"]["found"]
        if found is None:
            raise RequestInvalid("NOT_FOUND", "nobody is known by this number here, or it may not be read")
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
    """Check the signature of a receipt and print what it says; fails where it was altered. Asks no store."""
    try:
        public_key = b64decode(key, validate=True)
    except ValueError:
        raise typer.BadParameter("expected a key in base64", param_hint="--key") from None
    typer.echo(json_line(verify(text_of(file), public_key)))


def _summary(rows: PolicyRows) -> str:
    """Version and numbers; the rules by jurisdiction, so that a misspelt one meets the eye."""
    rules = Counter(rule.jurisdiction for rule in rows.rules)
    by_law = ", ".join(f"{jurisdiction} {count}" for jurisdiction, count in sorted(rules.items()))
    counts = {
        f"rules ({by_law})": rows.rules,
        "sensitivities": rows.sensitivities,
        "bases": rows.bases,
        "notices": rows.notices,
        "transfer bases": rows.transfer_bases,
    }
    return f"policy version {rows.version}: " + ", ".join(f"{len(found)} {name}" for name, found in counts.items())
