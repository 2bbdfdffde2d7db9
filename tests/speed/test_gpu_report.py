"""What the GPU benchmark prints and writes, from results made up here."""

from __future__ import annotations

import json

import pytest

from benchmarks.speed.gpu_report import (
    Result,
    format_report,
    write_results,
)
from benchmarks.speed.machine import GpuMachine, describe_gpu_machine
from benchmarks.speed.sensors import Conditions, Span
from benchmarks.speed.subjects import PYTORCH, Spec
from benchmarks.speed.timing import Percentiles, Rate, Sustained, Timing
from maclip_runtime.engines.driver import Driver, Gpu

MACHINE = GpuMachine("Card 9000", "8.6", 24 * 10**9, "580.1", "13.0", "x86_64", {"numpy": "2.4"})
SETTINGS = {
    "bundle": "rn50.maclip",
    "weights": "RN50",
    "repeats": 5,
    "samples": 200,
    "sustained_seconds": 30,
    "command": "python -m benchmarks.speed.gpu --bundle rn50.maclip",
}


def timed(milliseconds, device=True):
    times = Percentiles(milliseconds, milliseconds * 2, milliseconds - 0.1, milliseconds + 0.1)
    few = Percentiles(milliseconds, None, milliseconds, milliseconds)
    rate = Rate(1000 / milliseconds, 900 / milliseconds, 1100 / milliseconds)
    return Timing(500, times, few if device else None, few if device else None, rate, 200, 5)


RESULTS = [
    Result(Spec(PYTORCH, "fp16"), (1080, 1920), timed(20.0), 0.71, 10**9, 3.0),
    Result(
        Spec("tensorrt", "fp16", "a.plan"),
        (1080, 1920),
        timed(5.0),
        0.71,
        2 * 10**8,
        1.0,
        Sustained(5900, 30.0, 196.7, 5.05, 6.25),
        Conditions(Span(1200, 1410, 1980), None, Span(40, 61, 65), 812.0, ("power cap",), 150),
    ),
    Result(Spec("onnxruntime-cuda", "fp32"), (1080, 1920), timed(8.0, device=False), 0.71),
    Result(Spec("tensorrt", "fp16", "b.plan", (720, 1280)), (720, 1280), fault="no memory"),
]


def cells(report, label):
    line = next(line for line in report.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def report():
    return format_report(MACHINE, RESULTS, SETTINGS, ["tensorrt-rtx: no plan"])


def test_report_names_machine_and_command(report):
    for part in (
        "Card 9000",
        "8.6",
        "24 GB",
        "driver 580.1",
        "CUDA 13.0",
        "numpy 2.4",
        "5 repeats",
    ):
        assert part in report
    assert "`python -m benchmarks.speed.gpu --bundle rn50.maclip`" in report


def test_rows_have_every_figure(report):
    assert cells(report, "tensorrt") == [
        "tensorrt", "fp16", "200.0 (180.0 to 220.0)", "4.00", "5.00 (4.90 to 5.10)", "10.00",
        "5.00 (5.00 to 5.00)", "-", "5.00", "500", "200", "0.71000",
    ]  # fmt: skip


def test_what_was_not_measured_is_a_dash(report):
    row = cells(report, "onnxruntime-cuda")
    assert row[3] == "2.50"  # PyTorch's fastest row, in whatever precision
    assert row[6:9] == ["-", "-", "-"]
    assert row[10] == "-"


def test_faults_and_notes_follow_the_tables(report):
    assert "- tensorrt, 720 x 1280 only, fp16: no memory" in report
    assert report.endswith("- tensorrt-rtx: no plan\n")
    assert report.index("### 720 x 1280") < report.index("### 1080 x 1920")


def test_a_sustained_stream_is_shown_with_what_the_card_did(report):
    (line,) = (line for line in report.splitlines() if "power cap" in line)
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "tensorrt", "fp16", "196.7", "5.05", "6.25", "1200 / 1410 / 1980", "-", "40 / 61 / 65",
        "power cap", "812",
    ]  # fmt: skip


def test_every_row_has_as_many_cells_as_its_header(report):
    widths = {line.count("|") for line in report.splitlines() if line.startswith("|")}
    assert widths == {13, 11}


def test_json_has_everything(tmp_path):
    path = tmp_path / "gpu.json"
    write_results(path, MACHINE, RESULTS, SETTINGS, ["a note"])
    content = json.loads(path.read_text())
    assert content["machine"]["card"] == "Card 9000"
    assert content["settings"]["command"] == SETTINGS["command"]
    assert content["results"][1]["timing"]["wall"]["p50"] == 5.0
    assert content["results"][1]["label"] == "tensorrt"
    assert content["results"][3]["fault"] == "no memory"
    assert content["notes"] == ["a note"]


def test_machine_is_described_without_the_drivers_tool(monkeypatch):
    monkeypatch.setattr("benchmarks.speed.machine.shutil.which", lambda name: None)
    machine = describe_gpu_machine(Driver((13, 0), (Gpu("Card 9000", "120", 24 * 10**9),)))
    assert (machine.card, machine.compute_capability, machine.cuda) == ("Card 9000", "12.0", "13.0")
    assert machine.driver  # "unknown", or a Jetson's release
    assert "numpy" in machine.versions
