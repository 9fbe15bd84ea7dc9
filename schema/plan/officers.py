"""Questions of privacy officers: from arguments and the records they are about to values as the schema has them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from graphql import GraphQLObjectType, GraphQLSchema

from cdp.admission import OpenStore
from cdp.errors import RequestInvalid
from cdp.gate import Part
from cdp.officer.decisions import Use, explained, now_of, stops
from cdp.officer.dossier import Dossier, Moment, dossier_of
from cdp.officer.processing import processing_of
from cdp.officer.timeline import receipt_of, timeline_of
from cdp.rendering import to_json
from privacy.policy import Explanation, declares
from privacy.rulebook import SEVERITY, Policy
from privacy.vocabulary import PURPOSES, SELF, RecipientClass, is_jurisdiction
from schema.fields import Declaration, Governance
from schema.plan.accesses import UNDECLARED, accesses, bounded, decided, left_out, token_of
from schema.plan.declared import declaration_of
from schema.plan.operation import OperationRoot
from schema.plan.targets import Arguments, Reach

MOST_WORDS: Final = 500


class Question(NamedTuple):
    """One question under way: its arguments, and the records it is about that the caller may know of."""

    given: Arguments
    parts: Sequence[Part]
    reach: Reach

    async def answer(self, root: OperationRoot, schema: GraphQLSchema) -> str:
        """The answer as JSON text; `null` where nobody is found, or nothing may be known of them."""
        if root.name == "recordsOfProcessing":
            value: Any = await self._processing()
        elif not self.parts:
            return "null"
        elif root.name == "consentReceipt":
            return to_json(await self._receipt())
        elif root.name == "consentDecision":
            value = await self._decision(schema)
        elif root.name == "consentTimeline":
            value = await self._timeline()
        elif root.name == "withdrawalPreview":
            value = await self._preview(schema)
        else:
            value = await accesses(self.given, list(self._stores()), self.reach)
        assert root.picks is not None
        return to_json(root.picks.of(value))

    async def _dossier(self, at: OpenStore, customer_id: UUID) -> Dossier:
        """Asked for by a number, what is heard by that number counts."""
        found = next(part for part in self.parts if part.store == at.store.name)
        holding = found.holding if "number" in self.given["customer"] else None
        return await dossier_of(at, customer_id, holding, self.given.get("asOf"))

    async def _moment(self, dossier: Dossier, customer_id: UUID) -> Moment:
        """What is asked about, with the transfer bases that had no room for a customer by then."""
        moment = Moment(self.given.get("asOf") or now_of(dossier, self.reach.at), self.given.get("knownAt"))
        policy, crossings = dossier.at.policy, dossier.at.crossings
        assert policy is not None, "a dossier is read with its policy"
        full = await crossings.without_room(policy.transfer_bases, customer_id, moment.end)
        return moment._replace(exhausted=full)

    def _stores(self) -> Iterator[tuple[OpenStore, list[UUID]]]:
        """The stores of the records, the leading one first, with the customers there."""
        for name in dict.fromkeys(part.store for part in self.parts):
            yield self.reach.stores[name], [part.customer_id for part in self.parts if part.store == name]

    async def _decision(self, schema: GraphQLSchema) -> dict[str, Any]:
        given = self.given
        governance = _governance(schema, given["field"])
        assert governance.category is not None
        at, customers = next(self._stores())
        dossier, here = await self._dossier(at, customers[0]), at.store.jurisdiction
        moments = [await self._moment(dossier, one) for one in customers]
        moment = moments[0]
        use = Use(_purpose(given), given["channel"], *self._recipient(), _jurisdiction(given.get("destination"), here))
        policy = at.policy
        assert policy is not None, "a dossier is read with its policy"
        each = [
            explained(dossier, one, use, governance.category, then)
            for one, then in zip(customers, moments, strict=True)
        ]
        why = max(each, key=lambda one: SEVERITY[one.verdict.effect])
        if not declares(governance.purposes, use.purpose, policy):
            why = Explanation(UNDECLARED)
        return {
            **decided(why, dossier, self.reach),
            "law": next((rule.law for rule in policy.rules if rule.id == why.verdict.rule), None),
            "kind": why.verdict.kind,
            "notice": why.verdict.notice,
            "style": why.verdict.style,
            "category": governance.category,
            "jurisdiction": here,
            "destination": use.destination,
            "policyVersion": policy.version,
            "asOf": moment.as_of,
            "knownAt": moment.known_at,
        }

    def _recipient(self) -> tuple[str, RecipientClass]:
        recipient, kind = self.given["recipient"], self.given.get("recipientClass")
        ours = recipient.lower() in (SELF.lower(), self.reach.settings.legal_entity.lower())
        if not recipient or (kind is not None and ours != (RecipientClass(kind) is RecipientClass.SELF)):
            raise RequestInvalid("RECIPIENT_INVALID", "recipientClass: expected SELF for the operator, and it alone")
        if ours:
            return SELF, RecipientClass.SELF
        return recipient, RecipientClass.THIRD_PARTY if kind is None else RecipientClass(kind)

    async def _timeline(self) -> list[dict[str, Any]]:
        moment = Moment(
            self.given.get("asOf") or datetime.max.replace(tzinfo=self.reach.at.tzinfo), self.given.get("knownAt")
        )
        most, skip = bounded(self.given, MOST_WORDS), left_out(self.given)
        found = []
        for at, customers in self._stores():
            for said in await timeline_of(at, customers, moment, most + skip):
                row = said["customer_id"], said["row_id"]
                words = {_camel(name): value for name, value in said.items()}
                found.append(words | {"id": token_of(said["source"].capitalize(), at, row, self.reach)})
        newest = sorted(found, key=lambda said: (said["happenedAt"], said["recordedAt"]), reverse=True)
        return newest[skip : skip + most]

    async def _preview(self, schema: GraphQLSchema) -> dict[str, Any]:
        purpose, stopped = _purpose(self.given, groups=True), []
        for at, customers in self._stores():
            dossier = await self._dossier(at, customers[0])
            policy = at.policy
            assert policy is not None, "a dossier is read with its policy"
            moment = await self._moment(dossier, customers[0])
            found = stops(dossier, customers[0], purpose, self.reach.caller.channel, moment)
            stopped += [
                one._asdict() | {"fields": _fields(schema, one.categories, one.purpose, policy)} for one in found
            ]
        return {"stops": stopped, "partners": sorted({one["recipient"] for one in stopped} - {SELF})}

    async def _receipt(self) -> str | None:
        found = self.reach.global_id(self.given["id"])
        assert found is not None, "an id of our own"
        if found.customer_id not in {part.customer_id for part in self.parts}:
            return None
        at = self.reach.stores[found.store]
        receipt = await receipt_of(at, found.customer_id, found.row_id, self.reach.settings.legal_entity)
        return None if receipt is None else to_json(receipt)

    async def _processing(self) -> list[dict[str, Any]]:
        region = self.given.get("region")
        names = self.reach.all_open if region is None else [self.reach.store_of(region)]
        if any(name is None or not self.reach.open_to(name) for name in names):
            raise RequestInvalid("REGION_UNKNOWN", "region: no store open to this caller keeps it")
        return [await processing_of(self.reach.stores[str(name)], self.reach.at) for name in names]


def _jurisdiction(text: str | None, here: str) -> str:
    if text is not None and not is_jurisdiction(text):
        raise RequestInvalid("DESTINATION_INVALID", "destination: expected a jurisdiction such as HK")
    return text or here


def _governance(schema: GraphQLSchema, text: str) -> Governance:
    """How a field of the schema (`Type.field`) is governed."""
    type_name, _, name = text.partition(".")
    of = schema.type_map.get(type_name)
    declaration = declaration_of(of, name) if isinstance(of, GraphQLObjectType) and name in of.fields else None
    if not isinstance(declaration, Declaration) or declaration.governance.category is None:
        raise RequestInvalid("FIELD_UNKNOWN", "field: expected a governed field such as Customer.email")
    return declaration.governance


def _fields(schema: GraphQLSchema, categories: Sequence[str], purpose: str, policy: Policy) -> list[str]:
    """The fields of the schema that hold data of some categories and are meant for a purpose."""
    return [
        f"{of.name}.{name}"
        for of in schema.type_map.values()
        if isinstance(of, GraphQLObjectType) and not of.name.startswith("__")
        for name in of.fields
        if isinstance(declaration := declaration_of(of, name), Declaration)
        and declaration.governance.category in categories
        and declares(declaration.governance.purposes, purpose, policy)
    ]


def _purpose(given: Arguments, *, groups: bool = False) -> str:
    purpose: str = given["purpose"]
    parents = {one.parent for one in PURPOSES.values()}
    if purpose not in PURPOSES or (purpose in parents and not groups):
        raise RequestInvalid("PURPOSE_UNKNOWN", "purpose: expected a purpose such as service.care")
    return purpose


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
