"""Metrics as Prometheus scrapes them, and the dashboard that asks for them."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from maclip_runtime import Scorer, UsageError
from maclip_runtime.results.metrics import Metrics
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher


def scrape(watcher: Watcher) -> str:
    """Watch to the end, and ask for the metrics once."""
    metrics = Metrics(watcher.statuses)
    with metrics.serve("127.0.0.1", 0) as (host, port):
        for seen in watcher:
            if isinstance(seen, Observation):
                metrics.note(seen)
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=60) as answer:
            text: str = answer.read().decode()
    return text


def test_metrics_are_those_of_the_last_frame_and_counts_of_all(video):
    path = video("a.mp4", times=range(5))
    with Scorer("demo", threads=1) as scorer, Watcher(scorer, [str(path)]) as watcher:
        text = scrape(watcher)
        last = watcher.statuses[0].last
    assert last is not None
    assert last.reading is not None
    found = dict(re.findall(r'^(maclip_\w+){source="[^"]+"} (\S+)$', text, re.MULTILINE))
    assert float(found["maclip_score"]) == last.reading.score
    assert float(found["maclip_frames_total"]) == 5
    assert float(found["maclip_latency_seconds_count"]) == 5
    assert float(found["maclip_dropped_total"]) == 0
    assert float(found["maclip_alert"]) == 0
    assert found["maclip_up"] == "0.0"  # it has ended
    attribute = rf'maclip_attribute{{attribute="sharpness",source="{path}"}} (\S+)'
    assert float(re.search(attribute, text)[1]) == last.reading.attributes["sharpness"]
    assert f'maclip_events_total{{event="alert",source="{path}"}} 0.0' in text


def test_serving_ends_with_its_block_and_leaves_the_address_free():
    before = threading.active_count()
    with Metrics([]).serve("127.0.0.1", 0) as (host, port):
        socket.create_connection((host, port), timeout=60).close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=60)


def test_an_address_that_is_taken_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"127.0.0.1:{port}: metrics cannot be served there"),
            Metrics([]).serve("127.0.0.1", port),
        ):
            pass


def test_the_dashboard_asks_for_metrics_that_there_are():
    collected = {metric.name for metric in Metrics([]).registry.collect()}
    path = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    assert dashboard["uid"]
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"maclip_[a-z_]+", target["expr"]))
    names = {re.sub(r"_(total|bucket)$", "", name) for name in asked}
    assert names
    assert names <= collected
