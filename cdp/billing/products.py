"""How products change: what the customer has, what it relies on, why it does not work for a while."""

from typing import Annotated, Final

from pydantic import Field

from cdp.billing.tables import product, product_reliance, product_turn
from cdp.changes import KEEP, Newest, Put, Row
from cdp.context import Context
from cdp.errors import EventInvalid
from cdp.event import Day, Event, Ref, Text, Upper

PRODUCT = Newest(("name", "kind", "region", "tariff_id", "start_on", "term_end_on"), "described_at")


class OfProduct(Event):
    """An event about one of the customer's products."""

    product_ref: Ref

    def product_row(self, context: Context) -> Row:
        """The key and reference of the product's row."""
        product_id = context.row_id("product", self.product_ref)
        return {"customer_id": context.customer_id, "product_id": product_id, "product_ref": self.product_ref}

    def turned(self, context: Context, status: str, reason: str | None) -> list[Put]:
        """The product in another status; which one it has follows from all that was said of it."""
        key = self.product_row(context)
        mine = {"customer_id": context.customer_id, "product_id": key["product_id"]}
        turn = mine | {"at": self.at, "status": status, "reason": reason or ""}
        return [Put(product, key, KEEP), Put(product_turn, turn, KEEP)]


class ProductActivated(OfProduct):
    """The customer has a product; it works only while those in `reliesOn` do."""

    name: Text
    kind: Upper
    tariff_id: Ref | None = None
    start_date: Day
    term_end: Day | None = None
    relies_on: Annotated[tuple[Ref, ...], Field(max_length=20, strict=False)] = ()

    def apply(self, context: Context) -> list[Put]:
        if self.product_ref in self.relies_on:
            raise EventInvalid("reliesOn", "other products")
        key = self.product_row(context)
        row = key | {
            "name": self.name,
            "kind": self.kind,
            "region": self.region,
            "tariff_id": self.tariff_id,
            "start_on": self.start_date,
            "term_end_on": self.term_end,
            "described_at": self.at,
        }
        mine = {"customer_id": context.customer_id, "product_id": key["product_id"]}
        relies_on = [mine | {"relies_on_id": context.row_id("product", ref)} for ref in self.relies_on]
        return [
            Put(product, row, PRODUCT),
            *self.turned(context, "active", None),
            *(Put(product_reliance, one, KEEP) for one in relies_on),
        ]


class ProductSuspended(OfProduct):
    """A product does not work for a while."""

    reason: Ref

    def apply(self, context: Context) -> list[Put]:
        return self.turned(context, "suspended", self.reason)


class ProductResumed(OfProduct):
    """A product works again, or (`reason`) is not suspended for this reason any more."""

    reason: Ref | None = None

    def apply(self, context: Context) -> list[Put]:
        return self.turned(context, "active", self.reason)


class ProductTerminated(OfProduct):
    """The customer no longer has a product."""

    reason: Ref | None = None

    def apply(self, context: Context) -> list[Put]:
        return self.turned(context, "terminated", self.reason)


PRODUCTS: Final[tuple[type[Event], ...]] = (ProductActivated, ProductSuspended, ProductResumed, ProductTerminated)
