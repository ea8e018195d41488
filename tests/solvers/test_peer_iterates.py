"""The rules against those of other libraries, by iterates that are stored beside this file.

``python tests/solvers/test_peer_iterates.py`` makes the data anew where all of them are installed;
the tests with the mark ``peers`` follow the whole path of those that are.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from peer_rules import PAIRS, ours, theirs

STORED = Path(__file__).with_name("peer_iterates.json")
SHOWN = (1, 2, 20, 60)
# Of the largest number of an iterate: a stream that does not answer lets rules without a rate go
# far.
CLOSE = 1e-12


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    scale = max(1.0, np.max(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * scale)


@pytest.mark.parametrize("name", PAIRS)
def test_the_path_is_the_peers(name: str) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))[name]
    path = ours(PAIRS[name])
    for t in SHOWN:
        assert_close(path[t - 1], np.array(stored[str(t)]))


@pytest.mark.peers
@pytest.mark.parametrize("name", PAIRS)
def test_every_iterate_is_the_peer_s(name: str) -> None:
    pytest.importorskip(PAIRS[name].library)
    for mine, other in zip(ours(PAIRS[name]), theirs(PAIRS[name]), strict=True):
        assert_close(mine, other)


if __name__ == "__main__":
    made = {
        name: {str(t): path[t - 1].tolist() for t in SHOWN}
        for name, path in ((name, theirs(pair)) for name, pair in PAIRS.items())
    }
    STORED.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
