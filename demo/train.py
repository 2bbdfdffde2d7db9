"""Train the demo encoder: `python demo/train.py --output demo/demo-encoder.pt`.

Deterministic for one seed, number of threads, machine and set of library versions.
See docs/demo-encoder.md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from encoder import (
    Cues,
    build_encoder,
    encode_prompts,
    measure_cues,
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
REPORT_EVERY = 50


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a run: steps on pieces of the views, then on whole views; ladders a step."""

    piece_steps: int = 1800
    view_steps: int = 400
    batch: int = 12
    rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """B ladders: `views` uint8 [B * LEVELS * VIEWS, S, S, 3], `quality` float32 [B, LEVELS, 5]."""

    views: Tensor
    quality: Tensor


def make_batch(pool: Pool, size: int, side: int, seed: int, step: int) -> Batch:
    """The batch of `size` ladders of a step, counted from 0: shuffled passes, flipped at random.

    Depends on nothing but its arguments, so that a run can be taken up at any step. A side below 224
    takes a piece of that side out of the views, one place for a whole ladder.
    """
    per_pass = len(pool.quality) // size
    order = np.random.default_rng((seed, 0, step // per_pass)).permutation(len(pool.quality))
    first = step % per_pass * size
    picked = np.sort(order[first : first + size])  # in order: the pool lies on disk
    rng = np.random.default_rng((seed, 1, step))
    ladders = []
    for index in picked:
        y, x = rng.integers(WINDOW - side + 1, size=2)
        views = pool.views[index, :, :, y : y + side, x : x + side]
        views = views[..., ::-1, :] if rng.random() < 0.5 else views
        views = views[..., ::-1, :, :] if rng.random() < 0.3 else views
        views = views.swapaxes(-2, -3) if rng.random() < 0.3 else views
        views = views[..., rng.permutation(3)] if rng.random() < 0.3 else views
        ladders.append(views.reshape(-1, *views.shape[2:]))
    return Batch(torch.from_numpy(np.concatenate(ladders)), torch.from_numpy(pool.quality[picked]))


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


def train(pool: Pool, settings: TrainingSettings, output: Path) -> None:
    """Train and write the checkpoint. Every 50 steps the state goes to `output`.state, from which an
    interrupted run with the same settings goes on.
    """
    torch.manual_seed(settings.seed)
    model = build_encoder(LAYERS, WIDTH, EMBED).to(memory_format=torch.channels_last).train()
    tokens = tokenise_prompts()
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98))
    sides = [PIECE] * settings.piece_steps + [WINDOW] * settings.view_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=len(sides), pct_start=0.08
    )
    keep = {"model": model, "optimiser": optimiser, "schedule": schedule}
    state = output.with_name(output.name + ".state")
    first = resume_run(state, settings, keep)
    started, totals = time.monotonic(), dict[str, float]()
    for step in range(first, len(sides)):
        batch = make_batch(pool, settings.batch, sides[step], settings.seed, step)
        set_view_side(model, sides[step])
        with torch.autocast("cpu", torch.bfloat16):
            features = model.encode_image(normalise_views(batch.views))
        cues = measure_cues(features.float(), encode_prompts(model, tokens), model.logit_scale)
        terms = measure_loss(cues, batch.quality)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        model.logit_scale.data.clamp_(0, LARGEST_LOG_SCALE)
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.detach()) / REPORT_EVERY
        if (step + 1) % REPORT_EVERY == 0:
            means = ", ".join(f"{name} {value:.4f}" for name, value in totals.items())
            spent = time.monotonic() - started
            print(f"step {step + 1}/{len(sides)}, {spent:.0f} s: {means}", flush=True)
            totals.clear()
            save_run(state, settings, keep, step + 1)
    calibration = (
        make_batch(pool, settings.batch, WINDOW, settings.seed + 1, step) for step in range(60)
    )
    recalibrate_norms(model, (batch.views for batch in calibration))
    save_checkpoint(model, output)
    state.unlink(missing_ok=True)


def save_run(path: Path, settings: TrainingSettings, keep: dict[str, Any], step: int) -> None:
    """Write the state of a run after `step` steps, replacing `path` in one go."""
    part = path.with_name(path.name + ".part")
    states = {name: thing.state_dict() for name, thing in keep.items()}
    torch.save({"settings": asdict(settings), "step": step, **states}, part)
    part.replace(path)


def resume_run(path: Path, settings: TrainingSettings, keep: dict[str, Any]) -> int:
    """Load the state of an interrupted run with the same settings; return the steps done, else 0."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state.get("settings") != asdict(settings):
        return 0
    if state["step"] > settings.piece_steps:
        set_view_side(keep["model"], WINDOW)
    else:
        set_view_side(keep["model"], PIECE)
    for name, thing in keep.items():
        thing.load_state_dict(state[name])
    return int(state["step"])


def main() -> None:
    """Parse the command line, make the ladders where they are missing, and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for pictures and ladders")
    parser.add_argument("--ladders", type=int, default=4800)
    parser.add_argument("--piece-steps", type=int, default=TrainingSettings.piece_steps)
    parser.add_argument("--view-steps", type=int, default=TrainingSettings.view_steps)
    parser.add_argument("--batch", type=int, default=TrainingSettings.batch, help="ladders a step")
    parser.add_argument("--rate", type=float, default=TrainingSettings.rate)
    parser.add_argument("--seed", type=int, default=TrainingSettings.seed)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pool = build_pool(options.cache / "ladders", options.ladders, options.seed, options.cache)
    settings = TrainingSettings(
        options.piece_steps, options.view_steps, options.batch, options.rate, options.seed
    )
    train(pool, settings, options.output)


if __name__ == "__main__":
    main()
