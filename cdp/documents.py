"""Registered documents: the operations a partner may run, known by the SHA-256 of their text, alike in every store."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cdp.stores import Connection, Store

ADD = "INSERT INTO document (sha256, source, name, registered_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
FIND = "SELECT source FROM document WHERE sha256 = $1"
SOURCES = "SELECT source FROM document ORDER BY registered_at DESC LIMIT $1"
LIST = "SELECT sha256, name, registered_at FROM document ORDER BY name, registered_at, sha256"


@dataclass(frozen=True, slots=True)
class Document:
    """A registered document without its text; `sha256` in hex, as clients send it."""

    sha256: str
    name: str
    registered_at: datetime


async def register_document(stores: Iterable[Store], name: str, source: str, registered_at: datetime) -> str:
    """Registers a checked document in each store and returns its hash in hex; one that is known stays as it is."""
    digest = sha256(source.encode()).digest()
    for store in stores:
        async with store.transaction() as connection:
            await connection.execute(ADD, digest, source, name, registered_at)
    return digest.hex()


async def find_document(connection: Connection, digest: str) -> str | None:
    """The text with this hash (64 hex digits), or None."""
    source: str | None = await connection.fetchval(FIND, bytes.fromhex(digest))
    return source


async def registered_sources(connection: Connection, most: int) -> list[str]:
    """The texts of the documents that were registered last."""
    return [row[0] for row in await connection.fetch(SOURCES, most)]


async def list_documents(connection: Connection) -> list[Document]:
    """Every registered document by name."""
    return [Document(row[0].hex(), row[1], row[2]) for row in await connection.fetch(LIST)]
