"""The JSON Schema of each event, as the write door checks it; how values hang together stands in its words alone."""

import json
from functools import cache
from typing import Final

from cdp.ingest import EVENTS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@cache
def schema_of(name: str) -> bytes | None:
    """The schema of an event; None where no event is called so."""
    if name not in EVENTS:
        return None
    schema = EVENTS[name].model_json_schema()
    schema["properties"]["type"] = {"const": name}
    return json.dumps({"$schema": DIALECT, "$id": f"/v1/schemas/{name}"} | schema, ensure_ascii=False).encode()


def schema_list() -> dict[str, dict[str, str]]:
    """Where each schema is."""
    return {"schemas": {name: f"/v1/schemas/{name}" for name in EVENTS}}
