"""The encoders compute what open_clip's modules compute, without what is not needed."""

import pytest
import torch
from torch import nn

from maclip_export.checkpoints import load_file
from maclip_export.encoders import build_image_encoder
from maclip_export.encoders.attention import SelfAttention, SingleQueryAttention
from maclip_export.encoders.text import TextEncoder
from maclip_export.errors import CheckpointError
from maclip_export.published import remove_positions
from maclip_export.scenes import draw_views
from maclip_runtime.method.geometry import ViewGeometry

# Largest difference over largest value; measured 0.5e-6 (small) to 1.8e-6 (RN50, whose folded
# BatchNorm rounds each weight once more).
TOLERANCE = 5e-6


def relative(actual, expected):
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("arch", ["rn-small", "vit-small", "rn50", "vit-b32"])
def test_image_encoder_equals_open_clips_without_positions(checkpoint_file, arch):
    model = load_file(checkpoint_file(arch)).model
    pixels = torch.from_numpy(draw_views(ViewGeometry(), 3))
    with torch.no_grad():
        expected = remove_positions(model.visual)(pixels)
        assert relative(build_image_encoder(model, ViewGeometry())(pixels), expected) < TOLERANCE


def test_single_query_attention_equals_the_full_one():
    torch.manual_seed(0)
    full = nn.MultiheadAttention(64, 4, batch_first=True)
    nn.init.normal_(full.in_proj_bias)  # torch starts it at zero, which would hide a lost bias
    nn.init.normal_(full.out_proj.bias)
    tokens = torch.randn(3, 10, 64)
    expected = full(tokens[:, :1], tokens, tokens)[0][:, 0]
    folded = SingleQueryAttention.from_multihead(full)(tokens[:, 0], tokens)
    assert relative(folded, expected) < TOLERANCE


def test_self_attention_equals_torchs():
    torch.manual_seed(0)
    full = nn.MultiheadAttention(64, 4, batch_first=True)
    nn.init.normal_(full.in_proj_bias)
    tokens = torch.randn(3, 10, 64)
    assert relative(SelfAttention(full)(tokens), full(tokens, tokens, tokens)[0]) < TOLERANCE


def test_text_encoder_is_open_clips(checkpoint):
    tokens = torch.randint(1, 49_405, (4, 77))
    tokens[:, 9] = 49_407  # the end token, the largest there is
    encoder = TextEncoder(checkpoint.model)
    with torch.no_grad():
        assert (encoder(tokens) == checkpoint.model.encode_text(tokens)).all()


def test_the_callers_model_is_left_as_it_was(checkpoint):
    before = {k: v.clone() for k, v in checkpoint.model.state_dict().items()}
    build_image_encoder(checkpoint.model, ViewGeometry())
    after = checkpoint.model.state_dict()
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)


def test_other_towers_are_refused(checkpoint):
    class Other(nn.Module):
        visual = nn.Identity()

    with pytest.raises(CheckpointError, match="Identity is not supported"):
        build_image_encoder(Other(), ViewGeometry())


def test_a_vision_transformer_unlike_clips_is_refused(checkpoint_file):
    model = load_file(checkpoint_file("vit-small")).model
    model.visual.pool_type = "avg"
    with pytest.raises(CheckpointError, match="differs from CLIP's"):
        build_image_encoder(model, ViewGeometry())
