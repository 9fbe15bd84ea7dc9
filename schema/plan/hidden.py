"""Reads that nobody asked for, behind questions whose answers are made of them."""

from graphql import FieldNode, OperationDefinitionNode, parse

HIDDEN = {"~customer": "customer", "~other": "other"}
"""The reads of a proposal that nobody asked for, by the field they are about: what is compared of the two records."""
COMPARED = """{ customer {
    id formattedName birthDate gender email address
    identifications(first: 50) { documentType documentNumber }
    holdings(first: 50) { number sim { iccid } }
} }"""
SAID = "{ customer { consents(first: 0) { id } } }"
"""The read behind a question about a customer: what they said is read, for whoever may read it."""

WATCHED = "~"
"""The read of a subscription that nobody asked for: whose data it is."""
WHOSE = "{ customer { id } }"


def written(source: str) -> list[FieldNode]:
    """The fields of a document of our own."""
    [operation] = parse(source).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return [node for node in operation.selection_set.selections if isinstance(node, FieldNode)]
