"""GraphQL over HTTP as pure functions: headers and bytes in, a GraphqlRequest or a coded refusal out.

Nothing here parses GraphQL. A body is measured and checked before anything larger is built from it, and every way of
being wrong has a code and a status of its own: a client never sees a 500 for what it sent.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from cdp.errors import AuthError, RequestInvalid, Unavailable

JSON_TYPE: Final = "application/json"
GRAPHQL_TYPE: Final = "application/graphql-response+json"
PAGE_TYPE: Final = "text/html"
STREAM_TYPE: Final = "text/event-stream"
JSON_DEPTH: Final = 32
URL_PARAMETERS: Final = 8

_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z")
_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")


class GraphqlRequest(NamedTuple):
    """One operation as it was sent: a document or the SHA-256 (64 hex digits) of a registered one, or both agreeing."""

    query: str | None
    document_hash: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = MappingProxyType({})
    extensions: Mapping[str, Any] = MappingProxyType({})


class Answer(NamedTuple):
    """What leaves: finished JSON, its status (400 for a request error, whatever the media type), extra headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: str = JSON_TYPE


class Sent(NamedTuple):
    """One answer of a stream, as JSON, and the position from which on its client misses nothing; a position alone comes
    before anything happened.
    """

    position: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an exception is told to the client."""

    status: int
    code: str
    message: str

    @property
    def body(self) -> bytes:
        error = {"message": self.message, "extensions": {"code": self.code}}
        return json.dumps({"errors": [error]}, separators=(",", ":")).encode()


def refusal_of(error: BaseException) -> Refusal:
    """The refusal for an exception, by its own code and status; text of what was not foreseen never leaves."""
    match error:
        case RequestInvalid() | AuthError():
            return Refusal(error.status, error.code, str(error))
        case Unavailable():
            return Refusal(error.status, error.code, "Not available now; nothing was answered. Try again later.")
        case _:
            return Refusal(500, "INTERNAL", "The request could not be answered.")


def status_for(media_type: str, status: int) -> int:
    """The status of an answer to a well-formed request: a request error is 200 in plain JSON, else 400."""
    return 200 if status == 400 and media_type == JSON_TYPE else status


@lru_cache(maxsize=256)
def media_type_for(accept: str | None) -> str:
    """The answer's media type by an Accept header. Raises RequestInvalid NOT_ACCEPTABLE if neither of ours fits."""
    ranges = _ranges(accept or "*/*")
    quality, _, _, chosen = max(_fit(ranges, JSON_TYPE), _fit(ranges, GRAPHQL_TYPE))
    if quality <= 0 and takes_stream(accept):
        return JSON_TYPE
    if quality <= 0:
        raise RequestInvalid("NOT_ACCEPTABLE", f"Answers are {GRAPHQL_TYPE} or {JSON_TYPE}.", 406)
    return chosen


@lru_cache(maxsize=256)
def takes_stream(accept: str | None, *, alone: bool = False) -> bool:
    """True for a client that names event streams; `alone`: and takes nothing else of ours."""
    ranges = _ranges(accept or "")
    named = any(name == STREAM_TYPE and quality > 0 for name, quality in ranges)
    return named and not (alone and max(_fit(ranges, JSON_TYPE), _fit(ranges, GRAPHQL_TYPE))[0] > 0)


@lru_cache(maxsize=256)
def wants_page(accept: str | None) -> bool:
    """True for a browser, which names text/html; never for `*/*` alone."""
    return any(name == PAGE_TYPE and quality > 0 for name, quality in _ranges(accept or ""))


def _ranges(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [p[2:].strip() for p in parameters if p.startswith("q=")]
        quality = 1.0 if not weights else float(weights[0]) if _QUALITY.match(weights[0]) else 0.0
        ranges.append((name, quality))
    return ranges


def _fit(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int, bool, str]:
    """(quality, how precisely it was named, preferred at equal precision, media type); larger is better."""
    precision = {media_type: 2, "application/*": 1, "*/*": 0}
    named, quality = max(((precision[name], q) for name, q in ranges if name in precision), default=(0, 0.0))
    return quality, named, (media_type == GRAPHQL_TYPE) == (named == 2), media_type


@lru_cache(maxsize=256)
def check_content(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse (RequestInvalid, 415) a body that is not JSON in UTF-8 or that is compressed."""
    name, *parameters = (piece.strip().lower() for piece in (content_type or "").split(";"))
    charsets = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    if name != JSON_TYPE or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise RequestInvalid("CONTENT_TYPE_UNSUPPORTED", f"Send {JSON_TYPE} in UTF-8.", 415)
    if (content_encoding or "identity").strip().lower() != "identity":
        raise RequestInvalid("ENCODING_UNSUPPORTED", "Send the body uncompressed.", 415)


def decode_body(body: bytes) -> GraphqlRequest:
    """The request in a POST body. Raises RequestInvalid: JSON_*, BATCH_REFUSED, PARAMETER_INVALID, QUERY_MISSING..."""
    message = json_of(body)
    if isinstance(message, list):
        raise RequestInvalid("BATCH_REFUSED", "Send one operation a request.")
    if not isinstance(message, dict):
        raise RequestInvalid("BODY_INVALID", "The body must be a JSON object.")
    return request_of(message)


def decode_url(query_string: bytes) -> GraphqlRequest:
    """The request in a GET's query string; `variables` and `extensions` are JSON texts. Raises as decode_body does."""
    try:
        pairs = parse_qsl(query_string.decode(), True, True, "utf-8", "strict", URL_PARAMETERS) if query_string else []
    except ValueError:
        raise RequestInvalid("URL_INVALID", "The query string cannot be read.") from None
    message: dict[str, Any] = dict(pairs)
    if len(message) != len(pairs):
        raise RequestInvalid("URL_INVALID", "A parameter is given twice.")
    for name in ("variables", "extensions"):
        if name in message:
            message[name] = json_of(message[name].encode())
    return request_of(message)


def decoded(body: bytes, decoder: json.JSONDecoder | None = None) -> Any:
    """The value of a JSON text, whose texts are not looked at yet. Raises RequestInvalid: BODY_NOT_UTF8, JSON_*."""
    try:
        value: Any = (decoder or DECODER).decode(body.decode())
    except UnicodeDecodeError:
        raise RequestInvalid("BODY_NOT_UTF8", "The body must be UTF-8.") from None
    except ValueError:
        raise RequestInvalid("JSON_INVALID", "The body is not valid JSON.") from None
    except RecursionError:
        raise RequestInvalid("JSON_TOO_DEEP", f"JSON may nest {JSON_DEPTH} deep.") from None
    return value


def json_of(body: bytes) -> Any:
    """The value of a JSON text within the limits. Raises as `decoded`, and TEXT_INVALID."""
    value = decoded(body)
    # A short body without escapes cannot nest too deep or hide half a character: no walk needed.
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH or b"\\u" in body:
        check_values(value)
    return value


def _no_constant(name: str) -> float:
    raise ValueError(name)


DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
RECORDS: Final = json.JSONDecoder()
"""Lets NaN and Infinity by, as an SDK for Python writes them: the record that has one is refused, not those with it."""


def check_values(value: Any) -> None:
    """Walk level by level, without recursion: depth, numbers that are none, and text that could not be written as UTF-8
    or holds a NUL.
    """
    level, depth = [value], 0
    while level:
        if depth > JSON_DEPTH:
            raise RequestInvalid("JSON_TOO_DEEP", f"JSON may nest {JSON_DEPTH} deep.")
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            raise RequestInvalid("NUMBER_INVALID", "A number is none, or too large to be one.")
        texts = [item for item in level if isinstance(item, str)]
        texts += [key for item in level if isinstance(item, dict) for key in item]
        if any("\0" in text or re.search("[\ud800-\udfff]", text) for text in texts):
            raise RequestInvalid("TEXT_INVALID", "Text holds a NUL or half a surrogate pair.")
        lists = [item for item in level if isinstance(item, list)]
        lists += [list(item.values()) for item in level if isinstance(item, dict)]
        level, depth = [child for items in lists for child in items], depth + 1


def request_of(message: Mapping[str, Any]) -> GraphqlRequest:
    """The request in a decoded object. Raises RequestInvalid PARAMETER_INVALID, QUERY_MISSING ..."""
    query = _typed(message, "query", str, "a string")
    operation_name = _typed(message, "operationName", str, "a string")
    variables = _typed(message, "variables", dict, "an object") or {}
    extensions = _typed(message, "extensions", dict, "an object") or {}
    document_hash = _document_hash(message, extensions)
    if query is None and document_hash is None:
        raise RequestInvalid("QUERY_MISSING", "Send a query, or the hash of a registered document.")
    if query is not None and document_hash not in (None, hashlib.sha256(query.encode()).hexdigest()):
        raise RequestInvalid("DOCUMENT_HASH_INVALID", "The hash is not that of the query.")
    return GraphqlRequest(query, document_hash, operation_name, variables, extensions)


def _typed(message: Mapping[str, Any], name: str, kind: type, words: str) -> Any:
    value = message.get(name)
    if value is not None and not isinstance(value, kind):
        raise RequestInvalid("PARAMETER_INVALID", f"{name} must be {words}.")
    return value


def _document_hash(message: Mapping[str, Any], extensions: Mapping[str, Any]) -> str | None:
    """SHA-256 in hex from `documentId` or `extensions.persistedQuery.sha256Hash`."""
    persisted = extensions.get("persistedQuery")
    given = message.get("documentId")
    if given is None and isinstance(persisted, dict):
        given = persisted.get("sha256Hash")
    if given is None:
        return None
    found = _HASH.match(given) if isinstance(given, str) else None
    if found is None:
        raise RequestInvalid("DOCUMENT_HASH_INVALID", "A document is named by its SHA-256 in 64 hex digits.")
    return found[1]
