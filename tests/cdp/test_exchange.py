"""GraphQL over HTTP, without HTTP: what is accepted, what is refused, and with which words."""

import hashlib
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.errors import AuditUnavailable, AuthError, InvalidNumber, RequestInvalid, StoreUnavailable
from cdp.exchange import (
    GRAPHQL_TYPE,
    JSON_DEPTH,
    JSON_TYPE,
    GraphqlRequest,
    Refusal,
    check_content,
    decode_body,
    decode_url,
    media_type_for,
    refusal_of,
    status_for,
    wants_page,
)

HASH = hashlib.sha256(b"{a}").hexdigest()


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON_TYPE),
        ("", JSON_TYPE),
        ("*/*", JSON_TYPE),
        ("application/*", JSON_TYPE),
        (JSON_TYPE, JSON_TYPE),
        (GRAPHQL_TYPE, GRAPHQL_TYPE),
        (f"{GRAPHQL_TYPE}; charset=utf-8, {JSON_TYPE}; charset=utf-8", GRAPHQL_TYPE),
        (f"{JSON_TYPE}, {GRAPHQL_TYPE}", GRAPHQL_TYPE),
        (f"{JSON_TYPE}, {GRAPHQL_TYPE};q=0.9", JSON_TYPE),
        (f"{GRAPHQL_TYPE}, */*;q=0.1", GRAPHQL_TYPE),
        (f"{JSON_TYPE};q=0, */*", GRAPHQL_TYPE),
        ("text/html, */*;q=0.8", JSON_TYPE),
        ("application/json, multipart/mixed", JSON_TYPE),
        ("APPLICATION/JSON", JSON_TYPE),
    ],
)
def test_the_answer_has_the_type_that_was_asked_for(accept: str | None, expected: str) -> None:
    assert media_type_for(accept) == expected


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "application/json;q=0", "application/json;q=nan", ";,;"]
)
def test_no_other_type_is_answered(accept: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        media_type_for(accept)
    assert (caught.value.code, caught.value.status) == ("NOT_ACCEPTABLE", 406)


@given(st.text(max_size=80))
def test_any_accept_header_is_read(accept: str) -> None:
    with suppress(RequestInvalid):
        assert media_type_for(accept) in (JSON_TYPE, GRAPHQL_TYPE)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("text/html,application/xhtml+xml,*/*;q=0.8", True), ("*/*", False), (None, False), ("text/html;q=0", False)],
)
def test_only_a_browser_wants_the_page(accept: str | None, expected: bool) -> None:
    assert wants_page(accept) is expected


@pytest.mark.parametrize(
    "content_type", [JSON_TYPE, "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_in_utf8_is_taken(content_type: str) -> None:
    check_content(content_type, None)
    check_content(content_type, "identity")


@pytest.mark.parametrize(
    ("content_type", "encoding", "code"),
    [
        (None, None, "CONTENT_TYPE_UNSUPPORTED"),
        ("text/plain;charset=UTF-8", None, "CONTENT_TYPE_UNSUPPORTED"),
        ("application/json-patch+json", None, "CONTENT_TYPE_UNSUPPORTED"),
        ("application/json; charset=utf-16", None, "CONTENT_TYPE_UNSUPPORTED"),
        ("multipart/form-data; boundary=x", None, "CONTENT_TYPE_UNSUPPORTED"),
        (JSON_TYPE, "gzip", "ENCODING_UNSUPPORTED"),
        (JSON_TYPE, "identity, br", "ENCODING_UNSUPPORTED"),
    ],
)
def test_every_other_body_is_refused_by_its_headers(content_type: str | None, encoding: str | None, code: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        check_content(content_type, encoding)
    assert (caught.value.code, caught.value.status) == (code, 415)


def test_a_request_is_decoded() -> None:
    body = {"query": "{a}", "operationName": "A", "variables": {"n": "é"}, "extensions": {"x": 1}, "other": 1}

    assert decode_body(json.dumps(body).encode()) == GraphqlRequest("{a}", None, "A", {"n": "é"}, {"x": 1})
    assert decode_body(b'{"query": "{a}", "variables": null, "operationName": null}') == GraphqlRequest("{a}")


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": HASH},
        {"documentId": f"sha256:{HASH}", "query": None},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}},
        {"documentId": HASH, "query": "{a}"},
    ],
)
def test_a_document_may_be_named_by_its_hash(body: dict[str, object]) -> None:
    assert decode_body(json.dumps(body).encode()).document_hash == HASH


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "JSON_INVALID"),
        (b"{", "JSON_INVALID"),
        (b"null", "BODY_INVALID"),
        (b'"text"', "BODY_INVALID"),
        (b"7", "BODY_INVALID"),
        (b"[]", "BATCH_REFUSED"),
        (b'[{"query": "{a}"}]', "BATCH_REFUSED"),
        (b"\xff\xfe{\x00", "BODY_NOT_UTF8"),
        ('{"query": "{a}"}'.encode("utf-16"), "BODY_NOT_UTF8"),
        (b"\x1f\x8b\x08\x00", "BODY_NOT_UTF8"),
        (b'\xef\xbb\xbf{"query": "{a}"}', "JSON_INVALID"),
        (b'{"query": "{a}", "variables": {"x": NaN}}', "JSON_INVALID"),
        (b'{"query": "{a}", "variables": {"x": ' + b"1" * 5000 + b"}}", "JSON_INVALID"),
        (b'{"query": "{a}", "variables": {"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}", "JSON_TOO_DEEP"),
        (b"[" * 500_000, "JSON_TOO_DEEP"),
        (b'{"query": "{a}", "variables": {"x": ' + b"[" * 40 + b"]" * 40 + b"}}", "JSON_TOO_DEEP"),
        (b'{"query": "{a}", "variables": {"x": "\\ud800"}}', "TEXT_INVALID"),
        (b'{"query": "{a}", "variables": {"\\udfff": 1}}', "TEXT_INVALID"),
        (b'{"query": "{a}", "variables": {"x": "\\u0000"}}', "TEXT_INVALID"),
        (b'{"query": "\\ud800"}', "TEXT_INVALID"),
        (b"{}", "QUERY_MISSING"),
        (b'{"query": null}', "QUERY_MISSING"),
        (b'{"query": {}}', "PARAMETER_INVALID"),
        (b'{"query": "{a}", "operationName": 0}', "PARAMETER_INVALID"),
        (b'{"query": "{a}", "variables": []}', "PARAMETER_INVALID"),
        (b'{"query": "{a}", "extensions": false}', "PARAMETER_INVALID"),
        (b'{"documentId": 5}', "DOCUMENT_HASH_INVALID"),
        (b'{"documentId": "abc"}', "DOCUMENT_HASH_INVALID"),
        (json.dumps({"query": "{b}", "documentId": HASH}).encode(), "DOCUMENT_HASH_INVALID"),
    ],
)
def test_wrong_bodies_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode_body(body)
    assert (caught.value.code, caught.value.status) == (code, 400)


def test_depth_counts_the_body_itself() -> None:
    def nested(levels: int) -> bytes:
        return b'{"query": "{a}", "variables": {"x": ' + b"[" * levels + b"]" * levels + b"}, " + b'"y": "[{[{"}'

    assert decode_body(nested(JSON_DEPTH - 2)).query == "{a}"
    with pytest.raises(RequestInvalid):
        decode_body(nested(JSON_DEPTH + 1))


def test_escapes_that_are_whole_are_text() -> None:
    body = rb'{"query": "{a}", "variables": {"x": "\ud83d\ude00 \\u0000"}}'

    assert decode_body(body).variables == {"x": "😀 \\u0000"}


@given(st.binary(max_size=80) | st.text('{}[]":,\\u0dqery 1', max_size=80).map(str.encode))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    with suppress(RequestInvalid):
        assert isinstance(decode_body(body), GraphqlRequest)


def test_a_url_is_decoded() -> None:
    found = decode_url(b"query=%7B__typename%7D&variables=%7B%22x%22%3A1%7D&operationName=A")

    assert found == GraphqlRequest("{__typename}", None, "A", {"x": 1})


@pytest.mark.parametrize(
    ("query_string", "code"),
    [
        (b"", "QUERY_MISSING"),
        (b"query", "URL_INVALID"),
        (b"query=%ff", "URL_INVALID"),
        (b"query=a&query=b", "URL_INVALID"),
        (b"a=1&" * 9, "URL_INVALID"),
        (b"query=a&variables=%5B%5D", "PARAMETER_INVALID"),
        (b"query=a&variables=%7B", "JSON_INVALID"),
        (b"\xff", "URL_INVALID"),
    ],
)
def test_wrong_urls_are_refused(query_string: bytes, code: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode_url(query_string)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestInvalid("PAGE_SIZE", "first: at most 100"), 400, "PAGE_SIZE"),
        (RequestInvalid("BODY_TOO_LARGE", "too large", 413), 413, "BODY_TOO_LARGE"),
        (InvalidNumber("TOO_SHORT"), 400, "NUMBER_INVALID"),
        (AuthError("TOKEN_EXPIRED", "expired"), 401, "TOKEN_EXPIRED"),
        (AuthError("PURPOSE_NOT_GRANTED", "not granted", 403), 403, "PURPOSE_NOT_GRANTED"),
        (StoreUnavailable("cn", "canary-4711"), 503, "STORE_UNAVAILABLE"),
        (AuditUnavailable("canary-4711"), 503, "AUDIT_UNAVAILABLE"),
        (KeyError("canary-4711"), 500, "INTERNAL"),
        (RecursionError("canary-4711"), 500, "INTERNAL"),
    ],
)
def test_every_exception_has_a_status_and_a_code(error: Exception, status: int, code: str) -> None:
    refusal = refusal_of(error)

    assert (refusal.status, refusal.code) == (status, code)
    assert b"canary" not in refusal.body


def test_a_refusal_is_a_graphql_error_without_data() -> None:
    body = json.loads(Refusal(400, "PAGE_SIZE", "first: at most 100").body)

    assert body == {"errors": [{"message": "first: at most 100", "extensions": {"code": "PAGE_SIZE"}}]}


def test_plain_json_tells_request_errors_with_200() -> None:
    assert [status_for(JSON_TYPE, status) for status in (200, 400, 401, 503)] == [200, 200, 401, 503]
    assert [status_for(GRAPHQL_TYPE, status) for status in (200, 400, 401, 503)] == [200, 400, 401, 503]
