"""How much memory this process has used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def measure_peak_memory() -> float:
    """MB of this process at their most.

    From Linux's own account of the program: `ru_maxrss` begins with the size of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
