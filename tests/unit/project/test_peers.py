"""The benchmark against peers counts, copies and shows rightly. What it measured, no test says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import urllib3

from benchmarks.peers import show
from benchmarks.peers.proxy import Counts, proxy
from benchmarks.peers.replica import Pump
from benchmarks.peers.results import Results, newest


def test_what_an_engine_consumed_is_added_up() -> None:
    counts = Counts()
    counts.add("UpdateItem", {"ConsumedCapacity": {"CapacityUnits": 2.0}})
    counts.add("TransactWriteItems", {"ConsumedCapacity": [{"CapacityUnits": 4.0}, {"CapacityUnits": 2.0}]})
    counts.add("GetItem", {"ConsumedCapacity": {"CapacityUnits": 0.5}})
    counts.add("UpdateItem", {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"})
    counts.add("TransactWriteItems", {"__type": "x#TransactionCanceledException", "CancellationReasons": [{}, {}]})
    assert counts.requests == {"UpdateItem": 2, "TransactWriteItems": 2, "GetItem": 1}
    assert (counts.write_units, counts.read_units) == (2 + 6 + 1 + 4, 0.5)


class Engine(BaseHTTPRequestHandler):
    """Answers as an engine does that consumed one unit, if it is asked what it consumed."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(asked)
        capacity = {"ConsumedCapacity": {"CapacityUnits": 1.0}} if "ReturnConsumedCapacity" in asked else {}
        answer = json.dumps({"Attributes": {}} | capacity).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep the output clean."""


@pytest.fixture
def engine() -> Iterator[str]:
    Engine.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_proxy_counts_every_request_and_changes_nothing_else(engine: str) -> None:
    counts = Counts()
    with proxy(engine, counts=counts) as address, urllib3.PoolManager() as pool:
        for _ in range(3):
            headers = {"X-Amz-Target": "DynamoDB_20120810.UpdateItem"}
            answer = pool.request("POST", address + "/", body=b'{"TableName":"t"}', headers=headers)
            assert answer.json()["Attributes"] == {}
    assert counts.requests == {"UpdateItem": 3}
    assert counts.write_units == 3
    assert Engine.seen == [{"TableName": "t", "ReturnConsumedCapacity": "TOTAL"}] * 3


class Wire:
    """A region of dictionaries: one table, whose changes come back by its stream."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.changes: list[dict[str, Any]] = []

    def call(self, _api: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "DescribeTable":
            return {"Table": {"LatestStreamArn": "arn"}}
        if operation == "DescribeStream":
            return {"StreamDescription": {"Shards": [{"ShardId": "one"}]}}
        if operation == "GetShardIterator":
            return {"ShardIterator": "0"}
        if operation == "GetRecords":
            place = int(request["ShardIterator"])
            return {
                "Records": [{"dynamodb": change} for change in self.changes[place:]],
                "NextShardIterator": str(len(self.changes)),
            }
        return self.write(request["Item"])

    def write(self, item: dict[str, Any]) -> dict[str, Any]:
        key = {"pk": item["pk"]}
        before = self.items.get(item["pk"]["S"])
        if before != item:
            place = str(len(self.changes))
            self.changes.append({"Keys": key, "NewImage": item, "SequenceNumber": place})
        self.items[item["pk"]["S"]] = item
        return {"Attributes": before} if before else {}


def item(value: int) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "used": {"N": str(value)}}


def test_a_copy_arrives_late_and_only_once() -> None:
    london, sydney = Wire(), Wire()
    pump = Pump({"london": london, "sydney": sydney}, ["t"], lag_seconds=1.0)  # type: ignore[dict-item]
    london.write(item(1))
    pump.look(10.0)
    assert not sydney.items, "it is on its way"
    pump.look(11.0)
    assert sydney.items == {"a": item(1)}
    for now in (12.0, 13.0, 14.0):
        pump.look(now)
    assert (len(london.changes), len(sydney.changes)) == (1, 1), "a copy is not copied back"


def test_of_two_versions_the_later_written_one_wins_everywhere() -> None:
    london, sydney = Wire(), Wire()
    pump = Pump({"london": london, "sydney": sydney}, ["t"], lag_seconds=1.0)  # type: ignore[dict-item]
    london.write(item(1))
    pump.look(10.0)
    sydney.write(item(2))
    pump.look(10.5)
    pump.look(12.0)
    pump.look(13.0)
    assert london.items == sydney.items == {"a": item(2)}


def row(name: str, p50: float, per_second: float) -> dict[str, Any]:
    capped = {"cap": 1000, "oversold": 0}
    return {
        "name": name,
        "requests_per_decision": 1.025,
        "write_units": 1.5,
        "p50_ms": p50,
        "p99_ms": 2 * p50,
        "decisions_per_s": per_second,
        "cap_in_one_region": capped,
        "cap_in_two_regions": capped | {"oversold": 1000},
    }


RESULTS = {
    "machine": {"date": "2026-11-22", "cores": 2},
    "engine": "dynoxide 1.2.1",
    "rows": [row("Cutlass", 2.0, 1000.0), row("a <peer> & more", 6.04, 250.0)],
    "skipped": ["a tool is not installed: install it"],
}


def test_the_table_has_a_row_each_and_says_where_it_was_measured() -> None:
    lines = list(show.table(RESULTS))
    assert lines[2:4] == [
        "| **Cutlass** | 1.02 | 1.50 | 2.0 | 4.0 | 1,000 |  | 0 of 1,000 | 1,000 of 1,000 |",
        "| a <peer> & more | 1.02 | 1.50 | 6.0 | 12.1 | 250 | 4.0 × | 0 of 1,000 | 1,000 of 1,000 |",
    ]
    text = "\n".join(lines)
    assert "dynoxide 1.2.1; date 2026-11-22, cores 2." in text
    assert "Left out: a tool is not installed: install it." in text


def test_the_chart_is_well_formed_and_tells_its_figures_in_words() -> None:
    root = ET.fromstring(show.chart(RESULTS))
    words = [element.text or "" for element in root.iter() if element.tag.endswith(("desc", "text"))]
    assert "a <peer> & more: 6.04 ms, 250.0 per second" in words[0]
    assert {"Cutlass", "a <peer> & more", "1,000", "250", "6.04"} <= set(words)


def test_a_block_takes_the_place_of_the_one_before() -> None:
    text = f"before\n{show.BEGIN}\nold\n{show.END}\nafter\n"
    block = f"{show.BEGIN}\nnew\n{show.END}"
    assert show.between_marks(text, block) == f"before\n{block}\nafter\n"
    with pytest.raises(ValueError, match="no place for the table"):
        show.between_marks("a page without marks", block)


@pytest.mark.parametrize("document", show.DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_show_the_newest_results(document: Any) -> None:
    block = "\n".join([show.BEGIN, "", *show.table(newest()), "", show.END])
    assert block in document.read_text(encoding="utf-8"), "run python -m benchmarks.peers --update-docs"


def test_results_are_kept_by_date(tmp_path: Any) -> None:
    for date in ("2026-11-22", "2026-12-01", "2026-11-30"):
        Results({"date": date}, "dynoxide 1.2.1", {}).write(tmp_path)
    assert newest(tmp_path)["machine"]["date"] == "2026-12-01"
    with pytest.raises(FileNotFoundError, match="make bench"):
        newest(tmp_path / "nowhere")
