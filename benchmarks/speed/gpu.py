"""How fast is a bundle on this machine's NVIDIA GPU, against eager PyTorch on the same card?

    python -m benchmarks.speed.gpu --bundle rn50.maclip --checkpoint RN50.pt --output gpu.json

Measures every engine that can run here: plans of TensorRT and TensorRT-RTX (build them first, with
`maclip build`), ONNX Runtime's GPU providers, and the published method in eager PyTorch if its checkpoint
is given. Each is opened in a process of its own, for each frame size: its memory is its own, and a crash
costs one row. Prints Markdown; --output takes all figures as JSON. For figures to keep, let nothing else
use the card, and lock its clocks if you may. What the card did meanwhile, clocks, power, temperature and
throttling, is in the report (on servers by nvidia-ml-py, on Jetsons by tegrastats).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.console import run_script, track
from benchmarks.options import SAMPLES, BundleOption
from benchmarks.speed.apart import run_apart
from benchmarks.speed.gpu_report import Result, format_report, write_results
from benchmarks.speed.heading import describe_run
from benchmarks.speed.machine import describe_gpu_machine
from benchmarks.speed.sensors import Sensor, open_sensor, watch
from benchmarks.speed.subjects import PYTORCH, Spec, find_specs, open_subject
from benchmarks.speed.timing import measure, sustain
from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.cli.options import parse_size
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.driver import find_driver
from maclip_runtime.errors import EngineError, UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.pixels import Frame


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """`720x1280,1080x1920` to [(720, 1280), (1080, 1920)]; UsageError for anything else."""
    least = ViewGeometry().size
    return [parse_size(part, "--sizes", least=least) for part in text.split(",")]


def draw_frames(height: int, width: int) -> list[Frame]:
    """The sample photographs as frames of one size; their content decides the scores, not the speed."""
    frames = []
    for path in sorted(SAMPLES.glob("*.jpg")):
        with Image.open(path) as picture:
            resized = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        frames.append(np.array(resized))
    return frames


@dataclass(frozen=True)
class Extent:
    """How much is measured: runs, frames in a run, seconds it may take, of warm-up, and sustained."""

    repeats: int
    samples: int
    budget: float
    warm_up: float
    sustained: float


def measure_spec(
    spec: Spec,
    size: tuple[int, int],
    bundle: str,
    checkpoint: Path | None,
    extent: Extent,
    card: str | None,
) -> Result:
    """Open what a spec names and measure it on frames of one size. Runs in a process of its own.

    card: the GPU's name, whose state is watched meanwhile. Whatever goes wrong is the result's fault: the
    other measurements are not lost.
    """
    try:
        frames = draw_frames(*size)
        with ExitStack() as held:
            sensor = _find_sensor(card)
            if sensor is not None:
                held.callback(sensor.close)
            free, before = _count_free(spec), None if sensor is None else sensor.read()
            start = time.perf_counter()
            subject = held.enter_context(open_subject(spec, bundle, checkpoint))
            seconds = time.perf_counter() - start
            seen = None if sensor is None else held.enter_context(watch(sensor, before))
            timing = measure(
                subject,
                frames,
                repeats=extent.repeats,
                samples=extent.samples,
                budget=extent.budget,
                warm_up=extent.warm_up,
            )
            stream = sustain(subject, frames, extent.sustained) if extent.sustained else None
            left = _count_free(spec)
            memory = None if free is None or left is None else free - left
            score = subject.score(frames[0])
        conditions = None if seen is None else seen.conditions()
    except Exception as error:  # noqa: BLE001  three libraries' exceptions have no other common base
        return Result(spec, size, fault=" ".join(str(error).split()) or type(error).__name__)
    return Result(spec, size, timing, score, memory, seconds, stream, conditions)


def _find_sensor(card: str | None) -> Sensor | None:
    try:
        return None if card is None else open_sensor(card)
    except EngineError:
        return None  # `main` has said so once


def _count_free(spec: Spec) -> int | None:
    """Free bytes of the device; the first call makes CUDA's context, which is not counted that way."""
    if spec.device != "cuda":
        return None
    if spec.engine == PYTORCH:
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        return Cuda().free_memory()
    except EngineError:  # ONNX Runtime runs without cuda-bindings
        return None


def measure_apart(spec: Spec, size: tuple[int, int], *rest: object) -> Result:
    """`measure_spec` in a new process."""
    try:
        return run_apart(measure_spec, spec, size, *rest)
    except EngineError as error:
        return Result(spec, size, fault=str(error))


def measure_all(
    specs: Sequence[Spec],
    sizes: Sequence[tuple[int, int]],
    bundle: str,
    checkpoint: Path | None,
    extent: Extent,
    card: str | None,
) -> list[Result]:
    """Measure every spec at every size it takes, one after the other, with progress on stderr."""
    jobs = [(spec, size) for size in sizes for spec in specs if spec.takes in (None, size)]
    return [
        measure_apart(spec, size, bundle, checkpoint, extent, card)
        for spec, size in track(jobs, "measuring")
    ]


def main(
    bundle: BundleOption,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="What the bundle was made from, OpenAI's layout: also measure it in eager PyTorch.",
            metavar="FILE",
        ),
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Frame sizes, height x width.", metavar="HxW,...")
    ] = "720x1280,1080x1920,2160x3840",
    repeats: Annotated[int, typer.Option(help="Runs of each measurement.", min=1)] = 5,
    samples: Annotated[int, typer.Option(help="Frames in a run, at most.", min=3)] = 200,
    budget: Annotated[
        float, typer.Option(help="Seconds that a run may take; slow engines get fewer frames.")
    ] = 20.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds of frames before the first that counts.", min=0)
    ] = 3.0,
    sustained: Annotated[
        float,
        typer.Option(
            help="Then seconds of a stream, until clocks and heat have settled; 0: none.", min=0
        ),
    ] = 30.0,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Also ONNX Runtime on the CPU, as a floor.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Also write all figures, as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Measure a bundle on this machine's NVIDIA GPU."""
    chosen = parse_sizes(sizes)
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"{output.parent}: no such directory to write {output.name} to")
    driver = find_driver()
    if driver is None:
        raise EngineError(
            "no NVIDIA driver or GPU on this machine, so there is nothing to measure; run it on one "
            "that has (maclip doctor shows what is found)"
        )
    opened = open_bundle(bundle)
    specs, notes = find_specs(opened, checkpoint, cpu=cpu)
    if not specs:
        raise EngineError(f"{opened.path}: nothing can run here: {'; '.join(notes)}")
    card = driver.gpus[0].name
    try:
        open_sensor(card).close()
    except EngineError as error:
        notes.append(str(error))
    extent = Extent(repeats, samples, budget, warm_up, sustained)
    results = measure_all(specs, chosen, str(opened.path), checkpoint, extent, card)
    settings = describe_run(
        opened,
        repeats=repeats,
        samples=samples,
        budget_seconds=budget,
        warm_up_seconds=warm_up,
        sustained_seconds=sustained,
    )
    machine = describe_gpu_machine(driver)
    if output is not None:
        write_results(output, machine, results, settings, notes)
    print(format_report(machine, results, settings, notes), end="")
    if not any(result.timing for result in results):
        raise EngineError("nothing could be measured; the reasons are in the report")


if __name__ == "__main__":
    run_script(main)
