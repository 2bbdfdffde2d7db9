"""The head graph computes what the runtime's head computes."""

import numpy as np
import pytest

from maclip_export.graphs.head import write_head_graph
from maclip_export.graphs.running import open_graph
from maclip_runtime.method.head import Head, score_views
from maclip_runtime.method.magnitude import MagnitudeCue
from maclip_runtime.method.similarity import SimilarityCue


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_head_graph_equals_the_numpy_head(lam):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((9, 64)).astype(np.float32)
    prompts = rng.standard_normal((3, 2, 64)).astype(np.float32)
    prompts /= np.linalg.norm(prompts, axis=-1, keepdims=True)
    constants = Head(0.7, SimilarityCue(base=0.9), MagnitudeCue(boxcox_lambda=lam))
    expected = score_views(features, prompts, 4.6, constants)
    session = open_graph(write_head_graph(prompts, 4.6, constants))
    names = ["score", "similarity", "magnitude"]
    for name, value in zip(names, session.run(names, {"features": features}), strict=True):
        assert value.shape == ()
        assert value == pytest.approx(getattr(expected, name).mean(), abs=1e-6)
    (attributes,) = session.run(["attributes"], {"features": features})
    assert attributes == pytest.approx(expected.attributes.mean(axis=0), abs=1e-6)


def test_the_head_graph_reports_all_attributes_and_counts_the_scored_ones():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((9, 64)).astype(np.float32)
    prompts = rng.standard_normal((4, 2, 64)).astype(np.float32)
    prompts /= np.linalg.norm(prompts, axis=-1, keepdims=True)
    scored = (True, False, True, True)
    expected = score_views(features, prompts, 4.6, scored=scored)
    session = open_graph(write_head_graph(prompts, 4.6, Head(), scored))
    names = ["score", "similarity", "magnitude", "attributes"]
    found = dict(zip(names, session.run(names, {"features": features}), strict=True))
    assert found["attributes"].shape == (4,)
    for name, value in found.items():
        assert value == pytest.approx(getattr(expected, name).mean(axis=0), abs=1e-6)
    assert found["similarity"] == pytest.approx(found["attributes"][[0, 2, 3]].mean(), abs=1e-6)
