"""Alerts of the GStreamer element begin and end as those of `maclip watch --alert-below`."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from maclip_runtime.stream.events import AlertRules, Events

SOURCE = Path(__file__).parents[2] / "runtime" / "native" / "gst" / "alert.c"


class Alert(ctypes.Structure):
    """MaclipAlert."""

    _fields_ = (("on", ctypes.c_bool), ("since", ctypes.c_double))


class Reading:
    """What the rule looks at."""

    scene = False

    def __init__(self, score: float, fresh: float, time: float) -> None:
        self.score, self.fresh, self.time = score, fresh, time
        self.quantities = {"score": score}


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (tests/system_packages.sh)")
    library = tmp_path_factory.mktemp("alerts") / "libalert.so"
    options = ("-std=c11", "-shared", "-fPIC", "-Wall", "-Werror")
    subprocess.run([compiler, *options, SOURCE, "-o", library, "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.maclip_alert_update.argtypes = [ctypes.POINTER(Alert)] + [ctypes.c_double] * 4
    loaded.maclip_alert_update.restype = ctypes.c_bool
    return loaded


@pytest.mark.parametrize("seed", range(20))
def test_alerts_turn_where_those_of_watch_do(alerts: ctypes.CDLL, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alert, events = Alert(), Events(AlertRules(below=0.5))
    alerts.maclip_alert_reset(ctypes.byref(alert))
    assert not alert.on
    assert math.isnan(alert.since)
    score, time, turned = 0.5, 0.0, 0
    for _ in range(2000):
        score += 0.1 * (0.5 - score) + rng.normal(0, 0.01)  # wavers around the threshold
        fresh = rng.choice([0.3, 0.5, 1.0], p=[0.1, 0.1, 0.8])
        begun = [event.name for event in events.read(Reading(score, fresh, time))]
        turns = alerts.maclip_alert_update(ctypes.byref(alert), 0.5, score, fresh, time)
        assert turns == bool(begun)
        assert alert.on == events.alert
        turned += turns
        time += rng.choice([0.04, 0.2, 0.5])
    assert turned >= 4
