"""Whatever comes in, every boundary gives a result that makes sense or one line of error."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack import attack
from boundaries import BOUNDARIES, make_tiny_bundle, score_with

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.bin"))
# Some fifteen seconds in all; `make fuzz` goes on for as long as it is told.
EXAMPLES = {"picture": 700, "manifest": 400, "prompts": 400, "graph": 400, "raw_stream": 500}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_nothing_gets_through(name, tmp_path):
    finding = attack(name, EXAMPLES[name], lambda data: None)
    if finding is not None:
        path = tmp_path / f"{name}-new.bin"
        path.write_bytes(finding.data)
        pytest.fail(f"{finding.fault}\nkeep {path} in tests/fuzz/regressions")


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_once_got_through_no_longer_does(path):
    BOUNDARIES[path.stem.split("-")[0]](path.read_bytes())


def test_the_bundle_that_is_changed_is_right_to_begin_with():
    """Otherwise every mutation would be refused for the same reason, and nothing would be tried."""
    with make_tiny_bundle() as root:
        score_with(root)
