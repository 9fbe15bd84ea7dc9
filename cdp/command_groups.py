"""Commands in groups: about the stores' keys, registered documents and policy, about numbers and other identifiers."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cdp.app import check_document
from cdp.audit_commands import audit_group
from cdp.catalogue_commands import catalogue_group
from cdp.consent.policy_rows import load_policy
from cdp.documents import register_document
from cdp.honey_commands import honey_group
from cdp.house import open_databases, open_house
from cdp.identity.blocked import block, lift, read_blocked
from cdp.identity.segments import load_segments, read_segments
from cdp.letter_commands import dead_letters_group
from cdp.number_report import number_report
from cdp.officer_commands import officer_group, receipt_group
from cdp.privacy_commands import privacy_group
from cdp.reconcile_commands import reconcile_group
from cdp.reports import document_rows, key_rows
from cdp.rotation import rotate
from cdp.serving import run
from cdp.terminal import (
    FILE,
    StoreNames,
    chosen_stores,
    instant_of,
    output,
    progress,
    settings_of_command,
    table,
    text_of,
)
from cdp.webhook_commands import webhooks_group
from cdp.write_key_commands import write_key_group
from privacy.rows import PolicyRows
from privacy.rules import read_rules

keys_group = typer.Typer(help="The keys of the stores.", no_args_is_help=True)
documents_group = typer.Typer(help="The registered documents: all that a partner may run.", no_args_is_help=True)
policy_group = typer.Typer(help="The policy of the stores: what the law asks, as a file.", no_args_is_help=True)
numbers_group = typer.Typer(help="Numbers: what one is, who answers for it, where they are from.", no_args_is_help=True)
identifiers_group = typer.Typer(help="Identifiers that identify nobody.", no_args_is_help=True)
GROUPS: Final[Mapping[str, typer.Typer]] = {
    "keys": keys_group,
    "audit": audit_group,
    "documents": documents_group,
    "policy": policy_group,
    "numbers": numbers_group,
    "identifiers": identifiers_group,
    "honey": honey_group,
    "reconcile": reconcile_group,
    "privacy": privacy_group,
    "officer": officer_group,
    "receipt": receipt_group,
    "dead-letters": dead_letters_group,
    "webhooks": webhooks_group,
    "catalogue": catalogue_group,
    "write-key": write_key_group,
}

BlockedFile = Annotated[Path, typer.Argument(help="CSV file with the columns kind, value and region.", **FILE)]
PolicyFile = Annotated[Path, typer.Argument(help="TOML file with the rules, as privacy/rules.toml has them.", **FILE)]


@keys_group.command("status")
def keys_status_command(store: StoreNames = None) -> None:
    """Show which keys each store has, and how many data keys of customers."""
    settings = settings_of_command()
    rows = run(key_rows(settings, chosen_stores(settings, store)))
    output().print(table("Keys", ("store", "kind", "epoch", "root version", "settled", "number"), rows))


@keys_group.command("rotate-root")
def rotate_root_command(store: StoreNames = None) -> None:
    """Add a version to each store's root key and wrap the keys of the store by it."""
    _rotate("root", store)


@keys_group.command("rotate-kek")
def rotate_kek_command(store: StoreNames = None) -> None:
    """Make each store a new key of keys, wrap all data keys by it, and delete the one before."""
    _rotate("kek", store)


@keys_group.command("rotate-dek")
def rotate_dek_command(store: StoreNames = None) -> None:
    """Make new data keys for everybody, seal all cells under them, and delete the keys before."""
    _rotate("dek", store)


@keys_group.command("rotate-index")
def rotate_index_command(store: StoreNames = None) -> None:
    """Make each store a new index root, and find everybody by tags under it."""
    _rotate("index", store)


def _rotate(kind: str, store: list[str] | None) -> None:
    """Readers and writers go on meanwhile; a rotation that was stopped goes on where it was."""
    settings, begun = settings_of_command(), time.monotonic()
    with progress(output()) as bars:
        reports = run(rotate(settings, chosen_stores(settings, store), kind, bars))
    rows = [(name, said, number) for name, report in reports.items() for said, number in report.items()]
    title = f"Rotated in {time.monotonic() - begun:.1f} s"
    output().print(table(title, ("store", "what", "number"), rows))


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


@numbers_group.command("explain")
def numbers_explain_command(
    number: Annotated[str, typer.Argument(help="A number in any written form.")],
    region: Annotated[str | None, typer.Option(help="Where it was written down, such as CN-GD or HK.")] = None,
    at: Annotated[str | None, typer.Option(help="As of when, such as 2026-01-31T08:00:00Z; by default now.")] = None,
) -> None:
    """Show what a number is, who held it when, and who answers for it. Customers are shown by their id alone."""
    settings, as_of = settings_of_command(), instant_of("at", at)

    async def explain() -> tuple[list[tuple[str, str]], list[tuple[str, ...]]]:
        async with open_house(settings) as house:
            return await number_report(house, number, region, as_of)

    told, holdings = run(explain())
    output().print(table("The number", ("what", "as it is"), told))
    if holdings:
        columns = ("from (UTC)", "to (UTC)", "role", "state", "region", "customer", "decides")
        output().print(table("Its holders", columns, holdings))


@numbers_group.command("load-segments")
def numbers_load_segments_command(
    file: Annotated[Path, typer.Argument(help="CSV file, or phone.dat of the PyPI package `phone`.", **FILE)],
) -> None:
    """Replace the segments of mainland mobiles in every store: which seven digits are from where.

    A CSV file in UTF-8 has the header prefix,region,city,issuer, as in 1380013,CN-BJ,北京,China Mobile. A file with a
    bad line changes nothing; each bad line is told with its number.
    """
    settings = settings_of_command()
    with progress(output()) as bars:
        runs = read_segments(file, lambda lines: bars.track(lines, description=file.name))

    async def load() -> None:
        async with open_databases(settings) as stores:
            await load_segments(stores.values(), runs)

    run(load())
    counts = {
        "prefixes": sum(one.last - one.first + 1 for one in runs),
        "rows": len(runs),
        "regions": len({one.segment.region for one in runs}),
        "cities": len({(one.segment.region, one.segment.city) for one in runs}),
    }
    counts |= Counter(one.segment.issuer for one in runs for _ in range(one.first, one.last + 1))
    output().print(table(f"Segments of {file.name}", ("what", "number"), counts.items()))


@identifiers_group.command("block")
def identifiers_block_command(file: BlockedFile) -> None:
    """Let nobody be identified by these from now on: events that try go to the dead letters. Keeps no value."""
    _change_blocked(file, blocking=True)


@identifiers_group.command("lift")
def identifiers_lift_command(file: BlockedFile) -> None:
    """Let somebody be identified by these again."""
    _change_blocked(file, blocking=False)


def _change_blocked(file: Path, *, blocking: bool) -> None:
    settings, text = settings_of_command(), text_of(file)

    async def change() -> int:
        async with open_house(settings) as house:
            found = read_blocked(house, text.removeprefix("\ufeff").splitlines())
            await (block(house, found, datetime.now(UTC)) if blocking else lift(house, found))
            return sum(map(len, found.values()))

    typer.echo(f"{file.name}: {run(change()):,} identifiers {'blocked' if blocking else 'lifted'}")


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
