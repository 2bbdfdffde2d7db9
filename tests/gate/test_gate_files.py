"""Gates: made from labelled values, written, read strictly, and held to scores."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from maclip_runtime.errors import GateError, UsageError
from maclip_runtime.gate.gate import parse_gate, read_gate, write_gate
from maclip_runtime.gate.making import make_gate
from maclip_runtime.gate.settings import GateSettings

SETTINGS = GateSettings("RN50", "a" * 64, "b" * 64, "native", "exact", "fp32", False)


def draw_groups(accepted=900, rejected=40):
    rng = np.random.default_rng(0)
    good = {"score": rng.normal(1, 0.1, accepted), "noise": rng.random(accepted)}
    bad = {"score": rng.normal(0.6, 0.1, rejected), "noise": rng.random(rejected)}
    return [{name: list(values) for name, values in group.items()} for group in (good, bad)]


def test_a_gate_has_the_figures_of_every_quantity_and_the_threshold_of_one():
    good, bad = draw_groups()
    gate = make_gate(good, bad, SETTINGS, rate=0.02)
    assert gate.threshold == gate.figures["score"].threshold
    assert np.mean(np.array(good["score"]) < gate.threshold) <= 0.02
    assert gate.figures["score"].auc > 0.97
    low, high = gate.figures["noise"].auc_interval
    assert low < 0.5 < high
    assert gate.warnings == ()
    other = make_gate(good, bad, SETTINGS, quantity="noise", rate=0.02)
    assert other.threshold == gate.figures["noise"].threshold
    assert any("not told from chance" in warning for warning in other.warnings)


def test_what_the_numbers_cannot_support_is_said():
    gate = make_gate(*draw_groups(accepted=20, rejected=6), SETTINGS)
    said = " ".join(gate.warnings)
    assert "20 pictures to accept do not tell a rate of 0.01" in said
    assert "800 would" in said
    assert "do not bound the threshold from below" in said
    assert "6 pictures to reject say little" in said


def test_a_quantity_that_runs_the_other_way_is_no_gate():
    good, bad = draw_groups()
    gate = make_gate(bad, good, SETTINGS)
    assert any("not a gate" in warning for warning in gate.warnings)


def test_opinions_are_correlated_with_every_quantity():
    good, bad = draw_groups()
    values = np.array(good["score"] + bad["score"])
    opinions = values**3
    gate = make_gate(good, bad, SETTINGS, opinions=list(opinions))
    assert gate.figures["score"].srcc == pytest.approx(1)
    assert gate.figures["score"].plcc == pytest.approx(stats.pearsonr(values, opinions).statistic)


def test_a_gate_file_is_read_back_as_it_was_written(tmp_path):
    gate = make_gate(*draw_groups(accepted=20), SETTINGS)
    write_gate(tmp_path / "gate.json", gate)
    assert read_gate(tmp_path / "gate.json") == gate


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda data: data.update(schema=2), "newer maclip-edge"),
        (lambda data: data.update(schema=True), "gate.schema is not understood"),
        (lambda data: data.update(extra=1), "unknown fields .extra"),
        (lambda data: data.pop("threshold"), "missing fields .threshold"),
        (lambda data: data.update(threshold="0.5"), "gate.threshold is not understood"),
        (lambda data: data.update(threshold=float("nan")), "gate.threshold is not understood"),
        (lambda data: data.update(quantity="haze"), "no 'haze'"),
        (lambda data: data["figures"]["score"].update(auc=1.5), "auc is 1.5"),
        (lambda data: data["settings"].update(preset="512"), "preset is not understood"),
    ],
)
def test_a_gate_file_is_understood_whole_or_refused(change, fault):
    data = json.loads(make_gate(*draw_groups(20, 6), SETTINGS).to_json())
    change(data)
    with pytest.raises(GateError, match=fault):
        parse_gate(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_what_is_no_gate_file_is_refused(text):
    with pytest.raises(GateError):
        parse_gate(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weights_sha256", "c" * 64),
        ("prompts_sha256", "c" * 64),
        ("preset", "448"),
        ("view_mode", "dense"),
        ("exif_orientation", True),
    ],
)
def test_scores_made_otherwise_are_not_held_to_a_gate(field, value):
    gate = make_gate(*draw_groups(20, 6), SETTINGS)
    gate.check_settings(replace(SETTINGS, precision="fp16", weights="renamed"))
    with pytest.raises(GateError, match=f"{str(value)[:16]}"):
        gate.check_settings(replace(SETTINGS, **{field: value}))


def test_an_unknown_quantity_is_refused():
    with pytest.raises(UsageError, match="haze"):
        make_gate(*draw_groups(20, 6), SETTINGS, quantity="haze")
