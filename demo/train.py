"""Train the demo encoder: `python demo/train.py --output demo/demo-encoder.pt`.

Deterministic for one seed, machine and set of library versions. See docs/demo-encoder.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from encoder import (
    Cues,
    build_encoder,
    encode_prompts,
    judge_features,
    normalise_views,
    recalibrate_norms,
    save_checkpoint,
    set_view_side,
    tokenise_prompts,
)
from ladders import LEVELS, VIEWS, Pool, build_pool
from pictures import CACHE, WINDOW

LAYERS, WIDTH, EMBED = (1, 2, 2, 1), 16, 256
PIECE = 128  # pixels: three times as many pieces as whole views for the same time
MAGNITUDE_RANGE = (0.4, 1.0)  # what the published head lets a feature vector reach with ease
RANK_TEMPERATURE = 0.05  # difference of two scores that counts as settled
LARGEST_LOG_SCALE = float(np.log(100))  # CLIP's own ceiling


@dataclass(frozen=True)
class Batch:
    """B ladders: `views` uint8 [B * LEVELS * VIEWS, S, S, 3], `quality` float32 [B, LEVELS, 5]."""

    views: Tensor
    quality: Tensor


def iterate_batches(pool: Pool, size: int, sides: Sequence[int], seed: int) -> Iterator[Batch]:
    """Yield a batch of `size` ladders for each of `sides`: shuffled passes, flipped at random.

    A side below 224 takes a piece of that side out of the views, one place for a whole ladder.
    """
    rng = np.random.default_rng(seed)
    queue: list[int] = []
    for side in sides:
        if len(queue) < size:
            queue = list(rng.permutation(len(pool.quality)))
        picked = sorted(queue.pop() for _ in range(size))  # in order: the pool lies on disk
        ladders = []
        for index in picked:
            y, x = rng.integers(WINDOW - side + 1, size=2)
            views = pool.views[index, :, :, y : y + side, x : x + side]
            views = views[..., ::-1, :] if rng.random() < 0.5 else views
            views = views[..., ::-1, :, :] if rng.random() < 0.3 else views
            views = views.swapaxes(-2, -3) if rng.random() < 0.3 else views
            views = views[..., rng.permutation(3)] if rng.random() < 0.3 else views
            ladders.append(views.reshape(-1, *views.shape[2:]))
        stacked = torch.from_numpy(np.concatenate(ladders))
        yield Batch(stacked, torch.from_numpy(pool.quality[picked]))


def measure_loss(cues: Cues, quality: Tensor) -> dict[str, Tensor]:
    """Loss terms of a batch. cues: of B * LEVELS * VIEWS views; quality: [B, LEVELS, 5]."""
    shape = (len(quality), LEVELS, VIEWS)
    wanted = quality[:, :, None].expand(*shape, -1)
    low, high = MAGNITUDE_RANGE
    magnitude_wanted = low + (high - low) * wanted[..., 0]
    scales = (cues.similarity, cues.magnitude, cues.score)
    ranks = [rank_ladders(cue.view(shape), quality[..., 0]) for cue in scales]
    return {
        "attributes": F.binary_cross_entropy_with_logits(cues.margins.view(*shape, -1), wanted),
        "magnitude": 10 * F.mse_loss(cues.magnitude.view(shape), magnitude_wanted),
        "rank": 0.3 * torch.stack(ranks).sum(),
    }


def rank_ladders(values: Tensor, quality: Tensor) -> Tensor:
    """Logistic loss over all pairs of a ladder's levels, view by view and for the mean of the views.

    values: [B, LEVELS, VIEWS]; quality: [B, LEVELS], falling along the ladder.
    """
    values = torch.cat([values, values.mean(-1, keepdim=True)], -1)
    better, worse = torch.triu_indices(LEVELS, LEVELS, offset=1)
    gap = values[:, better] - values[:, worse]
    # Half of the wished-for gap must be there before a pair stops to count.
    wanted = 0.3 * (quality[:, better] - quality[:, worse])[..., None]
    return F.softplus((wanted - gap) / RANK_TEMPERATURE).mean() * RANK_TEMPERATURE * 4


def train(
    pool: Pool, steps: tuple[int, int], size: int, rate: float, seed: int, output: Path
) -> None:
    """Train and write the checkpoint. steps: first on pieces of the views, then on whole views."""
    torch.manual_seed(seed)
    model = build_encoder(LAYERS, WIDTH, EMBED).to(memory_format=torch.channels_last).train()
    tokens = tokenise_prompts()
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    sides = [PIECE] * steps[0] + [WINDOW] * steps[1]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=len(sides), pct_start=0.08
    )
    started, totals = time.monotonic(), dict[str, float]()
    for step, batch in enumerate(iterate_batches(pool, size, sides, seed), start=1):
        set_view_side(model, sides[step - 1])
        with torch.autocast("cpu", torch.bfloat16):
            features = model.encode_image(normalise_views(batch.views))
        cues = judge_features(features.float(), encode_prompts(model, tokens), model.logit_scale)
        terms = measure_loss(cues, batch.quality)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        model.logit_scale.data.clamp_(0, LARGEST_LOG_SCALE)
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.detach())
        if step % 100 == 0 or step == len(sides):
            means = ", ".join(f"{n} {v / (step % 100 or 100):.4f}" for n, v in totals.items())
            print(
                f"step {step}/{len(sides)}, {time.monotonic() - started:.0f} s: {means}", flush=True
            )
            totals.clear()
    calibration = iterate_batches(pool, size, [WINDOW] * 60, seed + 1)
    recalibrate_norms(model, (batch.views for batch in calibration))
    save_checkpoint(model, output)


def main() -> None:
    """Parse the command line, make the ladders where they are missing, and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for pictures and ladders")
    parser.add_argument("--ladders", type=int, default=4800)
    parser.add_argument(
        "--steps", type=int, nargs=2, default=(2400, 500), help="on pieces, then on whole views"
    )
    parser.add_argument("--batch", type=int, default=12, help="ladders a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pool = build_pool(options.cache / "ladders", options.ladders, options.seed, options.cache)
    train(pool, tuple(options.steps), options.batch, options.rate, options.seed, options.output)


if __name__ == "__main__":
    main()
