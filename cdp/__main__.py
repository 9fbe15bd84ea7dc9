"""The command line: `cdp COMMAND --help` tells what each command does."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from socket import socket
from typing import Annotated, Final

import typer
from rich.console import Console

from cdp.app import (
    courier_of,
    explain_document,
    prepare,
    serve_house,
    verifier_of,
    witness_app,
    writer_for,
    writer_of,
)
from cdp.auth import SELF, Caller, Role, issue_token
from cdp.catalogue_commands import advise_tariffs_command
from cdp.command_groups import GROUPS
from cdp.consume_command import consume_command
from cdp.demo.run import run_demo
from cdp.errors import RequestInvalid
from cdp.house import House, migrate_stores, open_house
from cdp.identity.likeness import can_compare
from cdp.identity.match_rules import read_match_rules
from cdp.linking import link_job
from cdp.load_command import load_command
from cdp.logs import configure_logs
from cdp.match import Matching, match
from cdp.outbox import KEPT_DAYS, LEAST_DAYS
from cdp.serving import free_address, listen, multiply, run, serve, url_of
from cdp.telling import care_jobs
from cdp.terminal import (
    FILE,
    check_known,
    exit_code,
    json_line,
    output,
    progress,
    settings_of_command,
    text_of,
    troubles,
)
from cdp.waiting import letter_job
from cdp.witness import Witness
from cdp.worker import (
    Job,
    evidence_jobs,
    jobs,
    privacy_jobs,
    replay_ledgers,
    stop_on_signals,
    work,
    work_once,
)
from privacy.notes import NoteKey
from privacy.vocabulary import PURPOSES

BENCH_OPTIONS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port, each with its own meters.")]

cdp = typer.Typer(
    name="cdp",
    help="Customer data platform: ask by number, get one customer, each field checked against consent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Settings are read from CDP_* in the environment.",
)
for name, group in GROUPS.items():
    cdp.add_typer(group, name=name)
cdp.command("load")(load_command)
cdp.command("consume")(consume_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process: 0 done, 1 refused, 2 asked or set up wrongly; troubles in one line each."""
    try:
        cdp(args=None if arguments is None else list(arguments), prog_name="cdp")
    except Exception as error:  # noqa: BLE001 -- the edge of the process: nobody is shown a traceback
        for line in troubles(error):
            typer.echo(line, err=True)
        sys.exit(exit_code(error))


@cdp.command("serve")
def serve_command(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Answer questions and take in events over HTTP: /graphql, /v1, /audit, /healthz, /readyz, /metrics."""
    settings = settings_of_command(serving=True)
    port = free_address(host, port)

    async def until_told() -> None:
        async with open_house(settings, settings.start_seconds) as house:
            await _serve(house, listen(host, port, shared=workers > 1))

    if workers == 1 or multiply(workers):
        run(until_told())


@cdp.command("demo")
def demo_command(
    customers: Annotated[int, typer.Option(min=1, help="How many customers the demo world has.")] = 2000,
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months they look back on.")] = 24,
    once: Annotated[bool, typer.Option("--once", help="Stop after the stories instead of serving.")] = False,
    port: Port = 8000,
    reset: Annotated[bool, typer.Option("--reset", help="Delete whatever the stores hold before.")] = False,
) -> None:
    """Load a made-up world into the stores, tell its two stories, and serve it on 127.0.0.1."""
    settings = settings_of_command(serving=not once)
    if settings.environment == "production":
        raise RequestInvalid("DEMO_REFUSED", "made-up customers have no place in production")

    async def tell() -> None:
        await migrate_stores(settings, reset=reset)
        async with open_house(settings) as house:
            await prepare(house)
            await run_demo(house, customers, months, output(), port)
            if not once:
                await _serve(house, listen("127.0.0.1", port))

    run(tell())


@cdp.command("worker")
def worker_command(
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then stop.")] = False,
    outbox_days: Annotated[int, typer.Option(min=LEAST_DAYS, help="Days an event stays in the outbox.")] = KEPT_DAYS,
) -> None:
    """Do what happens later: the tree over the audit trail, links to carry, webhooks, months ahead, old outbox rows,
    erasures, terms. Ends with the running job on SIGTERM.
    """
    settings = settings_of_command(serving=True)

    async def keep_in_order() -> int:
        async with open_house(settings, settings.start_seconds) as house:
            await replay_ledgers(house)
            links = link_job(writer_for(settings, house.stores))
            courier = courier_of(house)
            webhooks = Job("webhooks", 0.5, courier.tell)
            kept = (*privacy_jobs(house), *evidence_jobs(house), *care_jobs(house), letter_job(house, writer_of(house)))
            todo = (*jobs(outbox_days), links, webhooks, *kept)
            try:
                if once:
                    return await work_once(house.stores.values(), todo)
                stop = asyncio.Event()
                stop_on_signals(stop)
                await work(house.stores.values(), todo, stop)
            finally:
                await courier.close()
            return 0

    if failed := run(keep_in_order()):
        raise RequestInvalid("JOBS_FAILED", f"{failed} jobs failed; the log says why")


@cdp.command("witness")
def witness_command(
    *,
    name: Annotated[str, typer.Option(help="Its name in its signatures, such as witness.example/w1.")],
    log: Annotated[list[str], typer.Option(help="The key of a log it watches; may be repeated.")],
    folder: Annotated[Path, typer.Option(file_okay=False, help="Where its key lies, and what it saw last.")],
    host: Host = "127.0.0.1",
    port: Port = 8100,
) -> None:
    """Witness the logs of others: sign each checkpoint that continues what was seen before, and no other."""
    configure_logs("INFO")
    witness = Witness(folder, name, [NoteKey.read(key) for key in log])
    listening = listen(host, port)
    output().print(f"witnessing at {url_of(listening)} as {witness.key.text}")
    run(serve(witness_app(witness), listening))


@cdp.command("migrate")
def migrate_command() -> None:
    """Bring every store to this version: tables, missing keys, the starter policy and reference rows."""
    settings = settings_of_command()

    async def migrate() -> None:
        await migrate_stores(settings)
        async with open_house(settings) as house:
            await prepare(house)

    run(migrate())
    output().print(f"{', '.join(settings.store_names)}: up to date")


@cdp.command("match")
def match_command(
    region: Annotated[str, typer.Option(help="Whose records, such as CN-GD or HK.")],
    most: Annotated[int, typer.Option(min=2, max=200_000, help="How many records at most.")] = 20_000,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="From which likelihood on two are proposed.")] = 0.9,
    keep: Annotated[bool, typer.Option("--keep", help="Show these to stewards, instead of those before.")] = False,
    rules: Annotated[Path | None, typer.Option(help="TOML file as cdp/identity/matching.toml.", **FILE)] = None,
) -> None:
    """Find records that may be one person's, by rules, then by likelihood: one JSON object a line. Merges nothing."""
    settings = settings_of_command()
    matching = Matching(region, read_match_rules(rules), most, threshold)

    async def find() -> list[dict[str, object]]:
        async with open_house(settings) as house:
            with progress(Console(stderr=True)) as bars:
                return await match(house, matching, bars, keep=keep)

    for found in run(find()):
        typer.echo(json_line(found))
    if not can_compare():
        typer.echo("by the rules alone: likelihood needs splink, `pip install 'cdp[match]'`", err=True)


cdp.command("advise-tariffs")(advise_tariffs_command)


@cdp.command("token")
def token_command(
    *,
    client: Annotated[str, typer.Option(help="Name of the client.")],
    purpose: Annotated[list[str], typer.Option(help="A purpose it may ask for; may be repeated.")],
    store: Annotated[list[str], typer.Option(help="A store it may read; may be repeated.")],
    role: Annotated[Role, typer.Option(help="What its user is.")] = Role.CHANNEL,
    partner: Annotated[bool, typer.Option("--partner", help="It belongs to another legal entity.")] = False,
    legal_entity: Annotated[str, typer.Option(help="That entity's name; unset: the client's name.")] = SELF,
    channel: Annotated[str, typer.Option(help="The channel it speaks for.")] = "api",
    hours: Annotated[int, typer.Option(min=1, max=24 * 365, help="How long it is good for.")] = 8,
) -> None:
    """Print a token signed with this laptop's key, made when there is none; nothing else is printed."""
    settings = settings_of_command()
    check_known("purpose", purpose, PURPOSES)
    check_known("store", store, settings.store_names)
    caller = Caller(
        client=client,
        legal_entity=legal_entity,
        purposes=frozenset(purpose),
        stores=tuple(store),
        role=role.value,
        partner=partner,
        channel=channel,
    )
    token = issue_token(settings.home, caller, settings.token_issuer, settings.token_audience, hours * 3600)
    # A token that our own door would refuse is not given out.
    run(verifier_of(settings).verify(token))
    typer.echo(token)


@cdp.command("explain")
def explain_command(file: Annotated[Path, typer.Argument(help="One GraphQL operation.", **FILE)]) -> None:
    """Print the plan of an operation: its statements, governed places and cost. Asks no store."""
    typer.echo(explain_document(text_of(file)))


@cdp.command("bench", context_settings=BENCH_OPTIONS)
def bench_command(context: typer.Context) -> None:
    """Measure the floor, the peers and this product in one run; `python -m bench --help` tells the options."""
    os.chdir(Path(__file__).parents[1])
    if not Path("bench/__main__.py").is_file():
        raise RequestInvalid("BENCH_ABSENT", "the benchmark is part of a checkout, not of the installed package")
    os.execv(sys.executable, [sys.executable, "-m", "bench", *context.args])  # noqa: S606 - our own module, no shell


async def _serve(house: House, listening: socket) -> None:
    await replay_ledgers(house)
    output().print(f"serving {url_of(listening)}/graphql")
    await serve(serve_house(house), listening)


if __name__ == "__main__":
    main()
