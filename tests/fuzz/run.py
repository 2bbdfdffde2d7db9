"""`make fuzz MINUTES=60`: attack the boundaries in turns until the time is up, and say how often.

What gets through is written to `regressions/NAME-DIGEST.bin` for the tests to replay, and the run goes on.
The input being tried is in `.fuzz/NAME.last`: it is there for a crash that takes the process along. Exit
status 1 if anything was found.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from pathlib import Path

from attack import attack
from boundaries import BOUNDARIES

_REGRESSIONS = Path(__file__).parent / "regressions"
_LAST = Path(".fuzz")
_AT_ONCE = 500


def main(minutes: float) -> int:
    """Attack until the time is up; 1 if anything got through."""
    _LAST.mkdir(exist_ok=True)
    _REGRESSIONS.mkdir(exist_ok=True)
    counts: Counter[str] = Counter()
    known: set[tuple[str, str]] = set()
    stop = time.monotonic() + minutes * 60
    while time.monotonic() < stop:
        for name in BOUNDARIES:

            def note(data: bytes, name: str = name) -> None:
                counts[name] += 1
                (_LAST / f"{name}.last").write_bytes(data)

            finding = attack(name, _AT_ONCE, note)
            if finding is not None and (name, finding.fault) not in known:
                known.add((name, finding.fault))
                digest = hashlib.sha256(finding.data).hexdigest()[:12]
                path = _REGRESSIONS / f"{name}-{digest}.bin"
                path.write_bytes(finding.data)
                print(f"{name}: {finding.fault} -> {path}", flush=True)
        print(", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
    print(f"{sum(counts.values())} inputs, {len(known)} kinds of findings")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
