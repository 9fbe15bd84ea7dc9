"""Migrations: they build exactly what the code declares, and every table can be spread over machines."""

from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy import Dialect, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from cdp.billing import tables as billing
from cdp.care import tables as care
from cdp.consent import tables as consent
from cdp.identity import tables as identity
from cdp.interaction import tables as interaction
from cdp.migrate import MIGRATIONS, check, downgrade, upgrade
from cdp.rights import tables as rights
from cdp.tables import metadata
from cdp.usage import tables as usage
from tests.databases import Server

DOMAINS = {module.__name__.split(".")[1] for module in (billing, care, consent, identity, interaction, rights, usage)}
TABLES = metadata.sorted_tables
DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # its constructor has no types

CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
          AND NOT a.attisdropped AND NOT c.relispartition AND c.relname <> 'alembic_version'""",
    "order of columns": """
        SELECT table_name, string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version' AND table_name !~ '_default$'
          AND to_regclass(quote_ident(table_name))::oid IN (SELECT oid FROM pg_class WHERE relkind <> 'v')
        GROUP BY table_name""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
        JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.connamespace = 'public'::regnamespace AND NOT c.relispartition AND c.relname <> 'alembic_version'
          AND k.contype <> 'n'""",
    "indexes": """
        SELECT i.indexname, i.indexdef FROM pg_indexes i JOIN pg_class c ON c.oid = i.tablename::regclass
        WHERE i.schemaname = 'public' AND NOT c.relispartition AND i.tablename <> 'alembic_version'""",
    "partitioning": """
        SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table""",
}


async def catalogue(url: str) -> dict[str, set[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return {name: {tuple(row) for row in await connection.fetch(query)} for name, query in CATALOGUE.items()}
    finally:
        await connection.close()


async def create_declared(url: str) -> None:
    """Makes the declared tables without any migration."""
    tables = [str(CreateTable(table).compile(dialect=DIALECT)) for table in TABLES]
    every_index = (index for table in TABLES for index in sorted(table.indexes, key=lambda index: str(index.name)))
    indexes = [str(CreateIndex(index).compile(dialect=DIALECT)) for index in every_index]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION btree_gist")
        for statement in tables + indexes:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_what_migrations_build_is_what_the_code_declares(empty_url: str, database_server: Server) -> None:
    await upgrade(empty_url)
    async with database_server.database("template0") as declared_url:
        await create_declared(declared_url)
        declared, built = await catalogue(declared_url), await catalogue(empty_url)
    for name in CATALOGUE:
        assert built[name] == declared[name], name
    assert {row[0] for row in built["order of columns"]} == set(metadata.tables)
    await check(empty_url)


async def test_downgrade_leaves_nothing_and_upgrade_builds_it_again(empty_url: str) -> None:
    await upgrade(empty_url)
    built = await catalogue(empty_url)
    await downgrade(empty_url, "base")
    assert set().union(*(await catalogue(empty_url)).values()) == set()
    await upgrade(empty_url)
    assert await catalogue(empty_url) == built


async def test_a_failed_migration_leaves_nothing_behind(empty_url: str) -> None:
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE interaction (in_the_way boolean)")
    with pytest.raises(Exception, match="already exists"):
        await upgrade(empty_url)
    left = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    await connection.close()
    assert [row[0] for row in left] == ["interaction"]


async def test_every_partitioned_table_takes_any_instant(store_urls: dict[str, str]) -> None:
    connection = await asyncpg.connect(store_urls["cn"])
    rows = await connection.fetch(
        "SELECT inhparent::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' AND c.relkind = 'r'"
    )
    await connection.close()
    partitioned = {table.name for table in TABLES if table.dialect_options["postgresql"]["partition_by"]}
    assert partitioned
    assert {row[0] for row in rows} == partitioned


def test_every_migration_names_its_domain() -> None:
    names = [path.stem for path in (MIGRATIONS / "versions").glob("*.py")]
    assert {name.split("_")[1] for name in names} == DOMAINS | {"platform", "audit", "keys"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_says_how_it_is_spread(table: Table) -> None:
    assert table.info["dist"] in {"reference", "by customer", "by identifier", "queue"}
    if table.info["dist"] == "reference":
        assert table.info["key"] is None
        return
    key = table.columns[table.info["key"]]
    expected = {"by customer": "UUID", "by identifier": "BYTEA", "queue": "SMALLINT"}[table.info["dist"]]
    assert key.type.compile(DIALECT) == expected
    assert not key.nullable
    for constraint in keys(table):
        assert next(iter(constraint.columns)) is key, constraint.name
    assert all(next(iter(index.columns)) is key for index in table.indexes if index.unique)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_id_is_counted_by_the_database(table: Table) -> None:
    assert [column.name for column in table.columns if column.identity or column.server_default] == []
    assert all(column.autoincrement is not True for column in table.columns)
    assert [
        column.name for column in table.primary_key if column.autoincrement == "auto" and is_number(table, column.name)
    ] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_foreign_keys_stay_on_the_customers_machine(table: Table) -> None:
    for key in table.foreign_key_constraints:
        target = key.referred_table
        assert target is not table
        if target.info["dist"] != "reference":
            assert (table.info["dist"], target.info["dist"]) == ("by customer", "by customer")
            assert (key.column_keys[0], key.elements[0].column.name) == ("customer_id", "customer_id")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_index_names_the_read_it_serves(table: Table) -> None:
    assert [index.name for index in table.indexes if not index.info.get("serves")] == []


def keys(table: Table) -> Iterator[PrimaryKeyConstraint | UniqueConstraint]:
    for constraint in table.constraints:
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            yield constraint


def is_number(table: Table, name: str) -> bool:
    return table.columns[name].type.compile(DIALECT) in {"INTEGER", "BIGINT", "SMALLINT"}
