"""The schema as one object."""

import strawberry
from graphql import GraphQLSchema
from strawberry.directive import DirectiveLocation
from strawberry.schema.config import StrawberryConfig

from schema.care import Case
from schema.interaction import PartyInteraction
from schema.news import Subscription
from schema.roots import Mutation, Query
from schema.words import SCALARS


@strawberry.directive(
    locations=[DirectiveLocation.QUERY, DirectiveLocation.MUTATION, DirectiveLocation.SUBSCRIPTION],
    description="What the answer will be used for; every operation on customer data names one.",
    name="purpose",
)
def purpose(id: str) -> None:  # noqa: A002 - the argument is called `id` in every document
    """Read by the planner; it never runs."""


def declare() -> strawberry.Schema:
    """The schema as strawberry declares it."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[PartyInteraction, Case],
        directives=[purpose],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def printed(schema: strawberry.Schema) -> str:
    """The schema as it is kept in `schema/schema.graphql`."""
    return schema.as_str() + "\n"


def graphql_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """The same schema as graphql-core sees it."""
    return schema._schema  # noqa: SLF001 - strawberry offers no other way to it
