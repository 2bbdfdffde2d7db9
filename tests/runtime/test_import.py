"""The runtime is light: it imports fast and needs nothing heavy."""

import os
import subprocess
import sys

HEAVY = ("torch", "onnxruntime", "onnx", "open_clip", "scipy", "typer", "rich", "maclip_export")


def test_importing_loads_nothing_heavy():
    program = "import maclip_runtime, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(HEAVY) & set(done.stdout.split())


def test_importing_takes_under_a_fifth_of_a_second():
    """CPU time, which other load on the machine does not lengthen; the best of five."""
    program = "import os, maclip_runtime; print(sum(os.times()[:2]))"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}

    def measure() -> float:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return float(done.stdout)

    assert min(measure() for _ in range(5)) < 0.2
