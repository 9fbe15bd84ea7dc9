"""The benchmark's own arithmetic and writers; nothing here is timed."""

import asyncio
import json
import xml.etree.ElementTree as ET
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.__main__ import wish_of
from bench.chart import chart
from bench.check import comparable, compare
from bench.contestants import BARE, CONTESTANTS, FLOOR, OURS, STRIPPED
from bench.fallback import Seen, read_answer, report, requests_of
from bench.load import Load, read_report
from bench.operations import Dialect, Operation, Person, World, document_text, request_bodies
from bench.peer import libpq_environment
from bench.processes import BenchFailed
from bench.results import Measurement, layers_of, ratio, records_of, write_results
from bench.schedule import Plan, Turn, full, quick
from bench.stripped import PARTS
from bench.tables import WIDTH, cost_of, markdown, tables_of

REPORT = '{"requests":400,"microseconds":2000000,"p50":1500,"p99":9000,"errors":1,"timeouts":2}'
WORLD = World((Person("+8613800138000", "00ff"),), (Person("+8613912345678", "aa"),), ("CN-GD",))


def measured(name: str, number: int, requests: int, p99: float = 4.0) -> Measurement:
    return Measurement(
        Turn(number, Operation.PROFILE, 32, name), Load(requests, 2.0, 1.0, p99, 0), 100.0 * number, 50.0
    )


def test_what_wrk_reports_is_read_behind_what_it_prints_itself() -> None:
    told = read_report(f"Running 2s test @ http://127.0.0.1\n  32 connections\n{REPORT}\n")

    assert told == Load(requests=400, seconds=2.0, p50=1.5, p99=9.0, errors=3)


def test_a_load_generator_that_reports_nothing_is_a_failure() -> None:
    with pytest.raises(BenchFailed, match="reported nothing: unable to connect"):
        read_report("unable to connect")


def test_the_bundled_generator_reports_like_wrk() -> None:
    seen = Seen([0.001 * n for n in range(1, 101)], errors=1)

    assert read_report(report(seen, 2.0)) == Load(requests=100, seconds=2.0, p50=51.0, p99=100.0, errors=1)
    assert read_report(report(Seen(), 1.0)) == Load(requests=0, seconds=1.0, p50=0.0, p99=0.0, errors=0)


async def test_the_bundled_generator_reads_whole_answers_with_a_length_and_in_chunks() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    reader.feed_data(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n \r\n0\r\n\r\n")
    reader.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    reader.feed_eof()

    assert [await read_answer(reader) for _ in range(3)] == [True, False, True]
    assert await reader.read() == b""


def test_a_request_carries_its_token_and_its_length() -> None:
    [request] = requests_of("http://127.0.0.1:80/graphql", [b"{}"], "secret")

    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert b"Authorization: Bearer secret\r\n" in head
    assert head.endswith(b"Content-Length: 2")
    assert body == b"{}"
    assert b"Authorization" not in requests_of("http://127.0.0.1:80/profile", [b"{}"], None)[0]


@pytest.mark.parametrize(
    ("mine", "others", "expected"),
    [
        ({0: 2.0, 1: 9.0, 2: 4.0}, {0: 1.0, 1: 1.0, 2: 1.0}, 4.0),
        ({0: 2.0, 1: 8.0}, {1: 2.0, 2: 1.0}, 4.0),  # only the rounds that both were measured in
        ({0: 2.0}, {1: 1.0}, None),
        ({0: 2.0}, {0: 0.0}, None),
    ],
)
def test_a_ratio_is_the_median_of_the_rounds_ratios(
    mine: dict[int, float], others: dict[int, float], expected: float | None
) -> None:
    assert ratio(mine, others) == expected


def test_records_hold_medians_and_the_ratios_to_everybody_else() -> None:
    floor, ours = records_of(
        [
            *(measured(FLOOR, number, requests) for number, requests in enumerate((100, 200, 400))),
            *(measured(OURS, number, requests, 2.0) for number, requests in enumerate((300, 200, 800))),
        ]
    )

    assert (floor.contestant, floor.rounds, floor.per_second, floor.p99_ms) == (FLOOR, 3, 100.0, 4.0)
    assert (ours.per_second, ours.server_cpu_us, ours.postgres_cpu_us) == (150.0, 100.0, 50.0)
    assert ours.ratios == {FLOOR: 2.0}  # of 3, 1 and 2
    assert ours.p99_ratios == {FLOOR: 0.5}
    assert floor.ratios == {OURS: 0.5}


def test_what_privacy_costs_is_its_share_of_the_median_round_by_round() -> None:
    def took(name: str, number: int, p50: float) -> Measurement:
        return Measurement(Turn(number, Operation.PROFILE, 32, name), Load(100, 2.0, p50, 9.0, 0), 0.0, 0.0)

    ours, bare = [took(OURS, n, 10.0) for n in range(3)], [took(BARE, n, p50) for n, p50 in enumerate((9.0, 8.0, 4.0))]
    [layer] = layers_of(records_of([*ours, *bare]))
    assert (layer.operation, layer.connections, layer.with_ms, layer.without_ms) == ("profile", 32, 10.0, 8.0)
    assert layer.share == pytest.approx(0.2)
    assert not layer.fits
    assert layers_of(records_of(ours)) == layers_of(records_of(bare)) == []
    printed = StringIO()
    Console(file=printed, width=WIDTH).print(cost_of(records_of([*ours, *bare])))
    assert "20%" in printed.getvalue()
    assert "| profile | 32 | 10.00 | 8.00 | 20% |" in markdown(records_of([*ours, *bare]))


def test_results_are_written_as_json_tables_and_a_chart(tmp_path: Path) -> None:
    records = records_of([measured(FLOOR, 0, 100), measured(OURS, 0, 300), measured("cdp-no-audit", 0, 330)])

    write_results(tmp_path / "results" / "latest.json", records, {"machine": {"cores": 2}})
    told = json.loads((tmp_path / "results" / "latest.json").read_text())
    assert told["machine"] == {"cores": 2}
    assert [record["contestant"] for record in told["records"]] == [FLOOR, OURS, "cdp-no-audit"]
    assert told["records"][2]["ratios"] == {FLOOR: 3.3, OURS: 1.1}

    printed = StringIO()
    console = Console(file=printed, width=WIDTH)
    for table in tables_of(records):
        console.print(table)
    row = next(line for line in printed.getvalue().splitlines() if line.startswith("│ cdp "))
    assert [cell.strip() for cell in row.strip("│").split("│")][:7] == [
        "cdp", "32", "150", "1.00", "4.00", "0 + 50", "3.00",
    ]  # fmt: skip
    assert "| cdp | 32 | 150 | 1.00 | 4.00 | 0 + 50 | 3.00 |" in markdown(records)

    drawn = ET.fromstring(chart(records, 32))  # noqa: S314 -- we drew it
    bars = [int(found.get("width", "0")) for found in drawn.findall(".//{*}rect") if found.get("height") == "18"]
    assert len(bars) == 3
    assert bars[0] < bars[1] < bars[2]
    assert "150 (3.00x)" in [found.text for found in drawn.findall(".//{*}text")]
    assert OURS not in [found.text for found in ET.fromstring(chart(records, 1)).findall(".//{*}text")]  # noqa: S314 -- as above


def test_each_contestant_is_asked_in_its_own_words() -> None:
    profile = {dialect: json.loads(request_bodies(Operation.PROFILE, dialect, WORLD)[0]) for dialect in Dialect}

    assert profile[Dialect.CDP] == {
        "query": document_text(Operation.PROFILE), "variables": {"number": "+8613800138000"},
    }  # fmt: skip
    assert profile[Dialect.FLOOR] == {"variables": {"number": "00ff"}}
    assert "@purpose" not in profile[Dialect.STOCK]["query"]
    assert profile[Dialect.POSTGRAPHILE]["variables"] == {"number": "AP8="}
    [hashed] = request_bodies(Operation.DOCUMENT, Dialect.CDP, WORLD)
    assert json.loads(hashed)["documentId"] == sha256(document_text(Operation.PROFILE).encode()).hexdigest()
    assert request_bodies(Operation.DOCUMENT, Dialect.STOCK, WORLD) == []
    assert request_bodies(Operation.TWO_STORES, Dialect.POSTGRAPHILE, WORLD) == []


def test_every_operation_has_a_document_and_every_stripped_contestant_its_parts() -> None:
    assert all(document_text(operation).count("@purpose") == 1 for operation in Operation)
    assert set(PARTS) == {"audit", "consent", "sealing"}
    assert STRIPPED == ("cdp-no-audit", "cdp-no-consent", "cdp-no-sealing", "cdp-no-privacy")


def test_postgraphiles_words_are_translated_before_answers_are_compared() -> None:
    holding = {"number": "4QE=", "region": "CN-GD", "role": "USER", "state": "ACTIVE"}
    account = {"accountNo": "4QE=", "region": "CN-GD", "ratingType": "PREPAID"}
    theirs: dict[str, Any] = {
        "id": "0181",
        "regions": {"nodes": [{"region": "CN-GD"}]},
        "holdings": {"nodes": [holding | {"validFrom": "2022-06-18T07:05:00.000000+00:00", "validTo": None}]},
        "accounts": {"nodes": [account | {"balanceMinor": "-5", "currency": "CNY"}]},
        "usageMonths": {
            "nodes": [{"monthOn": "2026-10-01", "voiceSeconds": "61", "smsCount": "3", "dataBytes": "1048577"}]
        },
        "bills": {
            "nodes": [
                {"billNo": "B", "billOn": "2026-11-03", "amountDueMinor": "100", "currency": "CNY", "paidMinor": "1"}
            ]
        },
    }
    ours = {
        "id": "opaque",
        "regions": ["CN-GD"],
        "holdings": [
            holding | {"number": "+86138", "validFor": {"start": "2022-06-18T07:05:00Z", "end": None}},
        ],
        "accounts": [account | {"accountNo": "7", "balance": {"value": "-0.05", "unit": "CNY"}}],
        "usageMonths": [{"month": "2026-10", "voiceMinutes": 2, "smsCount": 3, "dataMegabytes": 2}],
        "bills": [
            {
                "billNo": "B",
                "billDate": "2026-11-03",
                "amountDue": {"value": "1.00", "unit": "CNY"},
                "state": "partiallyPaid",
            }
        ],
    }
    told = {"data": {"numberIndexByNumberTag": {"customerByCustomerId": theirs}}}
    mine = comparable({"data": {"customer": ours}}, Dialect.CDP, sealed=True)
    other = comparable(told, Dialect.POSTGRAPHILE, sealed=True)

    compare(mine, other, Operation.PROFILE, "postgraphile")
    other["customer"]["bills"][0]["state"] = "settled"
    with pytest.raises(BenchFailed, match=r"bills\[0\].state is 'partiallyPaid' of cdp and 'settled' of postgraphile"):
        compare(mine, other, Operation.PROFILE, "postgraphile")


def test_records_side_by_side_must_hold_every_item_of_ours() -> None:
    ours = {"customer": {"status": "ACTIVE", "bills": [{"billNo": "1"}, {"billNo": "2"}]}}
    sides = {
        "customer": {"status": "ACTIVE", "bills": [{"billNo": "1"}]},
        "other": {"status": "-", "bills": [{"billNo": "2"}]},
    }

    compare(ours, sides, Operation.TWO_STORES, FLOOR)
    sides["other"]["bills"] = []
    with pytest.raises(BenchFailed, match=r"bills is \{'billNo': '2'} of cdp"):
        compare(ours, sides, Operation.TWO_STORES, FLOOR)


def test_a_full_run_interleaves_the_contestants_within_each_round() -> None:
    plan = Plan([FLOOR, OURS], [Operation.PROFILE], [1, 32], 2, 1.0)

    assert [(turn.connections, turn.round, turn.contestant) for turn in full(plan)] == [
        (1, 0, FLOOR), (1, 0, OURS), (1, 1, FLOOR), (1, 1, OURS),
        (32, 0, FLOOR), (32, 0, OURS), (32, 1, FLOOR), (32, 1, OURS),
    ]  # fmt: skip


def test_a_quick_run_has_three_rounds_of_the_profile_and_stays_within_what_was_asked_for() -> None:
    turns = list(quick(wish_of(["--quick"]).plan))

    of_ours = [turn.operation for turn in turns if turn.contestant == OURS]
    assert of_ours.count(Operation.PROFILE) == 3
    assert set(of_ours) == set(Operation)
    assert {turn.connections for turn in turns} == {32}
    assert {turn.contestant for turn in quick(wish_of(["--quick", "--only", FLOOR]).plan)} == {FLOOR}


def test_the_command_line_has_the_defaults_of_a_full_run() -> None:
    wish = wish_of([])

    assert (wish.customers, wish.plan.rounds, tuple(wish.plan.connections)) == (200_000, 3, (1, 32, 256))
    assert list(wish.plan.contestants) == list(CONTESTANTS)
    assert not wish.quick
    assert wish_of(["--quick"]).customers == 20_000


@pytest.mark.parametrize(
    "arguments", [["--only", "nobody"], ["--operation", "nothing"], ["--rounds", "0"], ["--concurrency", "0"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        wish_of(arguments)

    assert refused.value.code == 2
    assert "cdp bench: error" in capsys.readouterr().err


def test_a_database_url_becomes_what_client_libraries_read() -> None:
    url = "postgresql://cdp:p-w@/cn?host=%2Fsrv%2Fseat&port=5432"

    assert libpq_environment(url) == {
        "PGHOST": "/srv/seat", "PGPORT": "5432", "PGUSER": "cdp", "PGPASSWORD": "p-w", "PGDATABASE": "cn",
    }  # fmt: skip
