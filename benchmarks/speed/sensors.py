"""What the GPU was doing while it was measured: clocks, power, temperature, throttling, memory.

Servers and workstations tell by NVML (the package nvidia-ml-py), Jetsons by their own `tegrastats`. Figures
without these cannot be compared: a card that is hot or capped is a slower card.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from maclip_runtime.errors import EngineError

_MILLISECONDS = 200
_REASONS = {  # NVML's; an idle card and clocks that somebody has set are no throttling
    "nvmlClocksThrottleReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksThrottleReasonSyncBoost": "sync boost",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "thermal slowdown",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "hardware thermal slowdown",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}


@dataclass(frozen=True)
class Reading:
    """One look at the GPU: MHz, watts, degrees Celsius, MB in use (on a Jetson, of the whole system)."""

    clock: float | None
    power: float | None
    temperature: float | None
    memory: float
    throttled: frozenset[str] = frozenset()


class Sensor(Protocol):
    """Something that can be asked for readings."""

    def read(self) -> Reading | None:
        """The state now; None where there is none yet."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True)
class Span:
    """The lowest, median and highest of some readings."""

    lowest: float
    median: float
    highest: float


@dataclass(frozen=True)
class Conditions:
    """What the GPU did during a measurement; memory: the most MB in use above what was before it.

    None: not told by this machine. throttled: every reason that was seen.
    """

    clock: Span | None
    power: Span | None
    temperature: Span | None
    memory: float
    throttled: tuple[str, ...]
    readings: int


class NvmlSensor:
    """NVIDIA's management library, for one card by its name."""

    def __init__(self, nvml: Any, card: str) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._device = self._find(card)
        self._reasons = {getattr(nvml, name): text for name, text in _REASONS.items()}

    def _find(self, card: str) -> Any:
        """The first card of that name: CUDA and NVML need not count alike."""
        for index in range(self._nvml.nvmlDeviceGetCount()):
            device = self._nvml.nvmlDeviceGetHandleByIndex(index)
            name = self._nvml.nvmlDeviceGetName(device)
            if (name.decode() if isinstance(name, bytes) else name) == card:
                return device
        self._nvml.nvmlShutdown()
        raise EngineError(f"NVML knows no {card}")

    def read(self) -> Reading:
        """The state now."""
        nvml, device = self._nvml, self._device
        mask = self._ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons) or 0
        power = self._ask(nvml.nvmlDeviceGetPowerUsage)
        return Reading(
            clock=self._ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            power=None if power is None else power / 1000,
            temperature=self._ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            memory=nvml.nvmlDeviceGetMemoryInfo(device).used / 1e6,
            throttled=frozenset(text for bit, text in self._reasons.items() if mask & bit),
        )

    def _ask(self, function: Callable[..., float], *arguments: object) -> Any:
        """A value, or None where this card does not tell."""
        try:
            return function(self._device, *arguments)
        except self._nvml.NVMLError:
            return None

    def close(self) -> None:
        """Give the library back."""
        self._nvml.nvmlShutdown()


def parse_tegrastats(line: str) -> Reading | None:
    """A line of tegrastats as a reading; None if it is none.

    Power: VDD_IN where a module tells its whole, else the sum of its rails. tegrastats names no reasons
    for throttling: the clock shows it.
    """
    memory = re.search(r"\bRAM (\d+)/\d+MB", line)
    if memory is None:
        return None
    clock = re.search(r"\bGR3D_FREQ \d+%@\[?(\d+)", line)
    temperature = re.search(r"\bgpu@(-?[\d.]+)C", line, re.IGNORECASE)
    rails = {name: float(now) for name, now in re.findall(r"\b(V\w+) (\d+)mW/\d+mW", line)}
    power = rails.get("VDD_IN", sum(rails.values())) / 1000 if rails else None
    return Reading(
        clock=None if clock is None else float(clock[1]),
        power=power,
        temperature=None if temperature is None else float(temperature[1]),
        memory=float(memory[1]),
    )


class TegrastatsSensor:
    """Jetson's tegrastats, of which the newest line counts."""

    def __init__(self, command: Sequence[str]) -> None:
        self._newest: Reading | None = None
        self._process = subprocess.Popen(
            [*command, "--interval", str(_MILLISECONDS)], stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._newest = parse_tegrastats(line) or self._newest

    def read(self) -> Reading | None:
        """The newest line; None before the first."""
        return self._newest

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()


def open_sensor(card: str) -> Sensor:
    """Whatever tells of this machine's GPU; EngineError, with what to install, where nothing does."""
    tegrastats = shutil.which("tegrastats")
    if tegrastats is not None:
        return TegrastatsSensor([tegrastats])
    try:
        import pynvml
    except ImportError:
        raise EngineError(
            "clocks, power and temperature need nvidia-ml-py",
            "pip install 'maclip-edge[benchmarks]'",
        ) from None
    try:
        return NvmlSensor(pynvml, card)
    except pynvml.NVMLError as error:
        raise EngineError(f"NVML does not tell of {card}: {error}") from None


class Watch:
    """Readings as they come in, for `conditions` afterwards."""

    def __init__(self, before: Reading | None) -> None:
        self._before = before
        self.readings: list[Reading] = []

    def conditions(self) -> Conditions | None:
        """What was seen; None if nothing was."""
        if not self.readings:
            return None
        start = (self._before or self.readings[0]).memory
        return Conditions(
            clock=_summarise([each.clock for each in self.readings]),
            power=_summarise([each.power for each in self.readings]),
            temperature=_summarise([each.temperature for each in self.readings]),
            memory=max(each.memory for each in self.readings) - start,
            throttled=tuple(sorted(frozenset().union(*(r.throttled for r in self.readings)))),
            readings=len(self.readings),
        )


@contextmanager
def watch(sensor: Sensor, before: Reading | None) -> Iterator[Watch]:
    """Read a sensor beside the block, at its start, some times a second, and at its end.

    before: a reading that memory is counted from.
    """
    seen, over = Watch(before), threading.Event()

    def note() -> None:
        reading = sensor.read()
        if reading is not None:
            seen.readings.append(reading)

    def follow() -> None:
        while not over.wait(_MILLISECONDS / 1000):
            note()

    note()
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        note()


def _summarise(values: Sequence[float | None]) -> Span | None:
    told = [value for value in values if value is not None]
    return Span(min(told), statistics.median(told), max(told)) if told else None
