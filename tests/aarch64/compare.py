"""Two files of JSON lines with the same pictures: how far their numbers are apart.

usage: compare.py ONE OTHER TOLERANCE; exit status 1 beyond it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def list_numbers(record: dict[str, object]) -> Iterator[tuple[str, float]]:
    """Every number of a record by its name."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from list_numbers(value)
        elif isinstance(value, int | float):
            yield name, float(value)


one, other = (Path(path).read_text().splitlines() for path in sys.argv[1:3])
tolerance = float(sys.argv[3])
largest = 0.0
for line, counterpart in zip(one, other, strict=True):
    mine, theirs = json.loads(line), json.loads(counterpart)
    assert "error" not in mine, line
    assert mine.keys() == theirs.keys(), (line, counterpart)
    for (name, value), (_, found) in zip(list_numbers(mine), list_numbers(theirs), strict=True):
        largest = max(largest, abs(value - found))
        assert abs(value - found) <= tolerance, f"{mine['path']}: {name} {value} and {found}"
assert one, "nothing was scored"
print(f"{mine['bundle']}: {len(one)} pictures, at most {largest:.2g} apart")
