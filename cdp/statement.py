"""What a plan hands to the read journey: statements, the keys they take, and the facts they bring along."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, or_, select

from cdp.tables import data_key


class KeyKind(Enum):
    """How a root finds its customers."""

    NUMBER = "number"  # a number's tag, as of an instant, in a role
    HOLDER = "holder"  # the same, of whom nothing is asked but about that number
    IDENTIFIER = "identifier"  # any other identifier's tag
    CUSTOMER = "customer"  # the customer's id in this store, while the holding lasts that it was given out by
    LINK = "link"  # the token two stores share for one customer
    ROW = "row"  # a row of a customer: customer id and row id; likewise
    REGION = "region"  # a page of a region's customers


class Way(NamedTuple):
    """How one root of a statement is answered: its number and its kind of key.

    A page also has the columns it is narrowed by and the rows it may have: with a parameter there the database would
    plan for a tenth of all customers, and read and sort a whole region for one page of it.
    """

    number: int
    kind: KeyKind
    narrowed: tuple[str, ...] = ()
    rows: int = 0


# A statement's columns: root number, key number, head tuple, arrays of tuples (consents, objections, data keys, links),
# then the lists of the plan.
HEAD_ROW, DATA_KEYS, LINKS = 2, 5, 6

# The head tuple begins with these; what the operation asked for follows. HELD is the holding by whose number the
# customer was found, NULL where by anything else; of a page that is narrowed it is not NULL where they fit. From LEADER
# on they are NULL but where the customer was merged with others: the id that stands for all; since when; what is known
# of the others (`other_rows`).
CUSTOMER_ID, STATE, BIRTH_DATE, POLICY_VERSION, HELD, LEADER, MERGED_SINCE, OTHERS, HEAD = range(9)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with $1.., and where its values come from.

    `keys` name the parameters that take an array with one value for each request, `shared` those that all requests of
    one execution must agree on. `order` has, for each of $1.., its place among keys and shared.
    """

    text: str
    keys: tuple[str, ...]
    shared: tuple[str, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, text: str, parameters: Sequence[str], keys: Collection[str]) -> "Statement":
        """The statement whose $1.. are these parameters."""
        arrays = tuple(name for name in dict.fromkeys(parameters) if name in keys)
        shared = tuple(name for name in dict.fromkeys(parameters) if name not in keys)
        places = {name: place for place, name in enumerate((*arrays, *shared))}
        return cls(text, arrays, shared, tuple(places[name] for name in parameters))

    def arguments(self, arrays: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
        """The values of $1.. for one execution."""
        values = (*arrays, *shared)
        return [values[place] for place in self.order]


def data_key_rows(key: ColumnElement[Any], retentions: Sequence[str]) -> Select[Any]:
    """The wrapped data keys of a customer for some retention classes."""
    columns = (data_key.c.retention, data_key.c.generation, data_key.c.epoch, data_key.c.wrapped)
    wanted = or_(*(data_key.c.retention == retention for retention in retentions))
    return select(func.row(*columns)).where(data_key.c.customer_id == key, wanted)
