"""A store before and after a rotation of its keys: what is in it, who is found, and processes that are killed."""

import asyncio
import os
import random
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import pytest
from rich.progress import Progress

from cdp import resealing, rotation
from cdp.context import STORE_ITSELF
from cdp.identity.resolve import normalise
from cdp.identity.tables import IDENTIFIER_INDEXES, NUMBER_INDEX
from cdp.ingest import Writer, ingest
from cdp.key_store import KEYS_OF_CUSTOMERS, unlock
from cdp.resealing import sealed_tables
from cdp.root_keys import root_kms
from cdp.settings import Settings
from cdp.stores import Store
from privacy.encoding import decode, unpad
from privacy.keys import KeyRing, WrappedDataKey
from privacy.seal import Place, Suite, cipher_of, open_bytes
from privacy.vocabulary import RetentionClass
from tests.cdp.samples import SAMPLES
from tests.dying import in_child

KINDS: Final = tuple(rotation.KINDS)
PEOPLE: Final = 7
FOUND_BY: Final = "SELECT customer_id FROM {} WHERE {} = $1"


def people(first: int, count: int = PEOPLE) -> list[dict[str, Any]]:
    """Customers with names, numbers, accounts and calls."""
    events: list[dict[str, Any]] = []
    for n in range(first, first + count):
        head = {"region": "CN-GD", "subject": {"customerKey": f"P-{n}"}}
        number = f"+86138{n:08}"
        told: list[tuple[str, dict[str, Any]]] = [
            ("CustomerRegistered", {"name": f"Person {n}", "kind": "INDIVIDUAL", "email": f"p{n}@example.cn"}),
            ("NumberActivated", {"number": number, "simRef": f"S-{n}", "iccid": f"8986{n:016}"}),
            ("AccountOpened", {"accountNo": f"AC-{n}", "ratingType": "PREPAID", "currency": "CNY"}),
            ("UsageRecorded", {"usageType": "SMS", "quantity": "1", "units": "messages", "counterparty": number}),
        ]
        events += [
            {"type": name, "eventId": f"{name}-{n}", "at": f"2026-03-0{day}T00:00:00Z"} | head | fields
            for day, (name, fields) in enumerate(told, 1)
        ]
    return events


async def populate(writer: Writer) -> None:
    """Every sample, some people, a dead letter, and a number of which only its quarantine is known."""
    kept: dict[str, Any] = {
        "type": "NumberQuarantined",
        "eventId": "kept",
        "at": "2026-03-05T00:00:00Z",
        "region": "CN-GD",
    }
    kept |= {"subject": {"customerKey": "P-1"}, "number": "+8613911112222"}
    await ingest(writer, [*SAMPLES.values(), *people(1), kept, {"type": "Nothing"}], "test")


@dataclass(frozen=True)
class State:
    """What a store holds, in the clear, and whom its tags find."""

    values: Mapping[tuple[Any, ...], object]
    found: Mapping[tuple[str, str], Any]


async def state_of(settings: Settings, store: Store, people_known: int = PEOPLE) -> State:
    """As a process finds it that opens the store now."""
    ring = await unlock(store, root_kms(settings), settings.tenant)
    return State(await _values(store, ring), await _found(store, ring, people_known))


async def values_of(settings: Settings, store: Store, gone: Collection[UUID] = ()) -> dict[tuple[Any, ...], object]:
    """What its cells hold, but for those of customers who are `gone`: their keys may be."""
    return await _values(store, await unlock(store, root_kms(settings), settings.tenant), gone)


async def _values(store: Store, ring: KeyRing, gone: Collection[UUID] = ()) -> dict[tuple[Any, ...], object]:
    values: dict[tuple[Any, ...], object] = {}
    async with store.keys.read() as connection:
        owners = [row[0] for row in await connection.fetch("SELECT DISTINCT customer_id FROM data_key")]
        found = await connection.fetch(KEYS_OF_CUSTOMERS, owners)
    rows = [WrappedDataKey(c, RetentionClass(r), *kept) for c, r, *kept in found]
    async with store.read() as connection:
        keys = {(key.customer_id, key.retention, key.generation): key for key in rows}
        for table in await sealed_tables(connection):
            owner = "customer_id" if table.by_customer else f"'{STORE_ITSELF}'::uuid"
            for column in table.columns:
                sealed, names = column.info["sealed"], ", ".join(table.key)
                found = await connection.fetch(
                    f"SELECT {owner}, {table.row_id}, {column.name}, {names} FROM {table.name}"
                    f" WHERE {column.name} IS NOT NULL"
                )
                for customer_id, row_id, cell, *key in (row for row in found if row[0] not in gone):
                    bound = Place(ring.tenant, store.name, sealed).prefix + cell[:8]
                    bound += b"".join(b"\0\x10" + part.bytes for part in (row_id, customer_id))
                    wrapped = keys[customer_id, sealed.retention, int.from_bytes(cell[4:8], "big")]
                    plain = open_bytes(cipher_of(ring.unwrap(wrapped), Suite(cell[1])), cell[8:20], cell[20:], bound)
                    name = (table.name, column.name, row_id, customer_id, *map(str, key[1:]))
                    values[name] = decode(unpad(plain) if cell[2] >> 4 else plain, sealed.cell_type)
    return values


async def _found(store: Store, ring: KeyRing, count: int) -> dict[tuple[str, str], Any]:
    sought = [("number", f"+86138{n:08}") for n in range(1, count + 1)]
    sought += [("number", number) for number in ("+8613800138000", "+8613900139000", "+8613700137001")]
    sought += [("customerKey", f"P-{n}") for n in range(1, count + 1)] + [
        ("accountNo", "A-77"),
        ("customerKey", "C-1001"),
    ]
    sought += [("number", "+8613911112222")]
    found: dict[tuple[str, str], Any] = {}
    async with store.read() as connection:
        for kind, value in sought:
            index = IDENTIFIER_INDEXES.get(kind, NUMBER_INDEX)
            first = ring.sought_tag(index, normalise(kind, value, None))
            tables = ("number_index", "number_fact") if kind == "number" else ("identifier_index",)
            for table in tables:
                where = "identifier_tag" if kind != "number" else "number_tag"
                by_tag = [
                    await connection.fetch(FOUND_BY.format(table, where), tag)
                    for tag in (first, *ring.later_tags(index, first))
                ]
                found[table, value] = sorted(str(row[0]) for rows in by_tag for row in rows)
    return found


def rotate_in_child(settings: dict[str, Any], kind: str, die_at: float) -> None:
    """Rotates in small steps and is killed at one of them (0, 0.5, 1, ...), before its commit or after."""
    steps = 0.0
    whole = rotation.Rotation.step

    async def step(self: Any, work: Any, *given: object, at: Any = None) -> Any:
        async def watched(connection: Any, *more: object) -> Any:
            nonlocal steps
            result = await work(connection, *more)
            if (steps := steps + 0.5) > die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        result = await whole(self, watched, *given, at=at)
        nonlocal steps
        if (steps := steps + 0.5) > die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    rotation.Rotation.step = step  # type: ignore[method-assign]  # only in this process
    rotation.BATCH, resealing.CUSTOMERS, resealing.ROWS = 3, 2, 4  # type: ignore[misc]  # the same
    with Progress(disable=True) as bars:
        asyncio.run(rotation.rotate(Settings(**settings), ["cn"], kind, bars))


async def finish(settings: Settings, kind: str) -> Mapping[str, int]:
    """Rotates to the end, in this process."""
    with Progress(disable=True) as bars:
        return (await rotation.rotate(settings, ["cn"], kind, bars))["cn"]


class Stopped(Exception):
    """A rotation went no further."""


async def begin_index(settings: Settings, name: str = "cn") -> None:
    """A new index root, and no row is moved to its tags yet."""

    async def stop(*_: object) -> None:
        raise Stopped

    with pytest.MonkeyPatch.context() as patch, Progress(disable=True) as bars, suppress(Stopped):
        patch.setattr(rotation, "old_tags", stop)
        await rotation.rotate(settings, [name], "index", bars)


async def drill(settings: Settings, store: Store, kind: str, die_at: float) -> tuple[State, State, State, bool]:
    """Before, after the kill, after the end; and whether it was killed."""
    before = await state_of(settings, store)
    dead = await in_child(rotate_in_child, settings, kind, die_at)
    between = await state_of(settings, store)
    await finish(settings, kind)
    return before, between, await state_of(settings, store), dead


def points(count: int, most: int, seed: int) -> list[tuple[str, float]]:
    """Kinds of rotation in turn, and where each is killed."""
    drawn = random.Random(seed)  # noqa: S311 -- no secret
    return [(KINDS[n % len(KINDS)], drawn.randrange(2 * most) / 2) for n in range(count)]


__all__ = ["KINDS", "State", "begin_index", "drill", "finish", "people", "points", "populate", "state_of", "values_of"]
