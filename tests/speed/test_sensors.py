"""What a GPU tells of itself while it is measured: by NVML's names, and by lines of tegrastats."""

from __future__ import annotations

import inspect
import re
import sys
from types import SimpleNamespace

import pynvml
import pytest

from benchmarks.speed import sensors
from benchmarks.speed.sensors import (
    Conditions,
    NvmlSensor,
    Reading,
    Span,
    TegrastatsSensor,
    open_sensor,
    parse_tegrastats,
    watch,
)
from maclip_runtime.engines.driver import find_driver
from maclip_runtime.errors import EngineError

ORIN_NX = (
    "11-24-2026 10:15:02 RAM 3012/15656MB (lfb 8x4MB) SWAP 0/7828MB (cached 0MB) CPU [12%@1984,8%@1984] "
    "EMC_FREQ 11%@3199 GR3D_FREQ 97%@[918] cpu@52.3C soc2@50.1C gpu@51.75C tj@52.3C "
    "VDD_IN 14210mW/13100mW VDD_CPU_GPU_CV 7400mW/6900mW VDD_SOC 2500mW/2400mW"
)
AGX_ORIN = (
    "RAM 6000/62780MB (lfb 4x4MB) CPU [1%@729] GR3D_FREQ 45%@1300 GPU@44.5C "
    "VDD_GPU_SOC 9000mW/8000mW VDD_CPU_CV 1000mW/900mW VIN_SYS_5V0 3000mW/3000mW"
)


def test_lines_of_tegrastats_are_readings():
    assert parse_tegrastats(ORIN_NX) == Reading(918, 14.21, 51.75, 3012)
    assert parse_tegrastats(AGX_ORIN) == Reading(1300, 13.0, 44.5, 6000)
    assert parse_tegrastats("RAM 100/4000MB") == Reading(None, None, None, 100)
    assert parse_tegrastats("tegrastats: permission denied") is None


def test_every_name_of_nvml_that_is_used_exists():
    used = set(re.findall(r"\b(?:nvml[A-Z]\w+|NVML\w+)\b", inspect.getsource(sensors)))
    names = {name for name in used if name not in ("NVML", "NvmlSensor")}
    assert len(names) > 10
    assert not [name for name in names if not hasattr(pynvml, name)]


class Nvml(SimpleNamespace):
    """A card that is hot and capped, and does not tell its power."""

    NVMLError = pynvml.NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = pynvml.NVML_CLOCK_SM, pynvml.NVML_TEMPERATURE_GPU

    def __init__(self):
        super().__init__(is_open=False, used=2_000_000_000)
        for name in sensors._REASONS:
            setattr(self, name, getattr(pynvml, name))

    def nvmlInit(self):  # noqa: N802
        self.is_open = True

    def nvmlShutdown(self):  # noqa: N802
        self.is_open = False

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetName(self, device):  # noqa: N802
        return ("Display adapter", "Card 9000")[device]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, device):  # noqa: N802
        return (
            pynvml.nvmlClocksThrottleReasonSwPowerCap
            | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonGpuIdle
        )

    def nvmlDeviceGetPowerUsage(self, device):  # noqa: N802
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetClockInfo(self, device, kind):  # noqa: N802
        return 1410

    def nvmlDeviceGetTemperature(self, device, kind):  # noqa: N802
        return 83

    def nvmlDeviceGetMemoryInfo(self, device):  # noqa: N802
        assert device == 1
        self.used += 100_000_000
        return SimpleNamespace(used=self.used)


def test_nvml_is_asked_for_the_card_of_that_name():
    nvml = Nvml()
    sensor = NvmlSensor(nvml, "Card 9000")
    reading = sensor.read()
    assert reading == Reading(1410, None, 83, 2100, frozenset({"power cap", "thermal slowdown"}))
    sensor.close()
    assert not nvml.is_open
    with pytest.raises(EngineError, match="knows no Card 1"):
        NvmlSensor(nvml, "Card 1")
    assert not nvml.is_open


def test_conditions_are_those_of_the_block():
    sensor = NvmlSensor(Nvml(), "Card 9000")
    before = sensor.read()
    with watch(sensor, before) as seen:
        pass
    assert seen.conditions() == Conditions(
        clock=Span(1410, 1410, 1410),
        power=None,
        temperature=Span(83, 83, 83),
        memory=200,  # of the reading at the start and the one at the end, above the one before
        throttled=("power cap", "thermal slowdown"),
        readings=2,
    )


def test_tegrastats_is_followed_and_ended(tmp_path):
    program = tmp_path / "tegrastats"
    program.write_text(
        f"#!{sys.executable}\nimport time\nprint({ORIN_NX!r}, flush=True)\ntime.sleep(600)\n"
    )
    program.chmod(0o755)
    sensor = TegrastatsSensor([str(program)])
    while sensor.read() is None:  # its first line is on its way
        assert sensor._process.poll() is None
    assert sensor.read().clock == 918
    sensor.close()
    assert sensor._process.returncode is not None


@pytest.mark.skipif(find_driver() is not None, reason="this machine has a GPU")
def test_without_a_gpu_it_says_so():
    with pytest.raises(EngineError, match="NVML does not tell of Card 9000"):
        open_sensor("Card 9000")
