"""Write a CLIP checkpoint in OpenAI's state-dict layout, filled from a NumPy seed.

The values depend on NumPy's legacy RandomState only, so the same name and seed give the same
weights with any version of torch: scores recorded once stay comparable. Every value is one that
half precision holds exactly, as in OpenAI's own files, so a loader may or may not pass through it.

usage: make_checkpoint.py {rn50,rn-small,vit-b32,vit-small} SEED OUT.pt
"""

import sys

import numpy as np
import torch

ARCHS = {
    # vision: ("rn", layers, width, resolution) or ("vit", layers, width, patch, resolution)
    "rn50": dict(vision=("rn", (3, 4, 6, 3), 64, 224), embed=1024, text=(12, 512)),
    "rn-small": dict(vision=("rn", (1, 1, 1, 1), 16, 224), embed=128, text=(2, 64)),
    "vit-b32": dict(vision=("vit", 12, 768, 32, 224), embed=512, text=(12, 512)),
    "vit-small": dict(vision=("vit", 3, 192, 32, 224), embed=128, text=(2, 64)),
}
VOCAB, CONTEXT = 49408, 77


def build(arch: str, seed: int) -> dict:
    rng = np.random.RandomState(seed)
    spec = ARCHS[arch]
    sd: dict[str, torch.Tensor] = {}

    def put(name, shape, std=0.0, mean=0.0):
        value = mean + std * rng.standard_normal(shape) if std else np.full(shape, mean)
        sd[name] = torch.from_numpy(np.asarray(value, dtype=np.float32)).half().float()

    def linear(name, out_dim, in_dim, bias=True, gain=1.0):
        put(f"{name}.weight", (out_dim, in_dim), gain * in_dim**-0.5)
        if bias:
            put(f"{name}.bias", (out_dim,), 0.02)

    def conv(name, out_ch, in_ch, k):
        put(f"{name}.weight", (out_ch, in_ch, k, k), (2.0 / (in_ch * k * k)) ** 0.5)

    def bn(name, ch, gain=1.0):
        put(f"{name}.weight", (ch,), 0.1 * gain, gain)
        put(f"{name}.bias", (ch,), 0.1)
        put(f"{name}.running_mean", (ch,), 0.1)
        sd[f"{name}.running_var"] = torch.from_numpy(
            (0.5 + rng.random_sample(ch)).astype(np.float16).astype(np.float32)
        )
        sd[f"{name}.num_batches_tracked"] = torch.tensor(1)

    def ln(name, dim):
        put(f"{name}.weight", (dim,), 0.1, 1.0)
        put(f"{name}.bias", (dim,), 0.05)

    def blocks(prefix, layers, width):
        for i in range(layers):
            p = f"{prefix}.resblocks.{i}"
            put(f"{p}.attn.in_proj_weight", (3 * width, width), width**-0.5)
            put(f"{p}.attn.in_proj_bias", (3 * width,), 0.02)
            linear(f"{p}.attn.out_proj", width, width, gain=0.5)
            ln(f"{p}.ln_1", width)
            linear(f"{p}.mlp.c_fc", 4 * width, width)
            linear(f"{p}.mlp.c_proj", width, 4 * width, gain=0.5)
            ln(f"{p}.ln_2", width)

    kind = spec["vision"][0]
    if kind == "rn":
        _, layers, width, resolution = spec["vision"]
        conv("visual.conv1", width // 2, 3, 3), bn("visual.bn1", width // 2)
        conv("visual.conv2", width // 2, width // 2, 3), bn("visual.bn2", width // 2)
        conv("visual.conv3", width, width // 2, 3), bn("visual.bn3", width)
        inplanes = width
        for stage, count in enumerate(layers, start=1):
            planes = width * 2 ** (stage - 1)
            for i in range(count):
                p = f"visual.layer{stage}.{i}"
                conv(f"{p}.conv1", planes, inplanes, 1), bn(f"{p}.bn1", planes)
                conv(f"{p}.conv2", planes, planes, 3), bn(f"{p}.bn2", planes)
                conv(f"{p}.conv3", planes * 4, planes, 1), bn(f"{p}.bn3", planes * 4, 0.3)
                if i == 0:
                    conv(f"{p}.downsample.0", planes * 4, inplanes, 1)
                    bn(f"{p}.downsample.1", planes * 4)
                inplanes = planes * 4
        dim, grid = width * 32, resolution // 32
        put("visual.attnpool.positional_embedding", (grid**2 + 1, dim), dim**-0.5)
        for proj in ("q_proj", "k_proj", "v_proj"):
            linear(f"visual.attnpool.{proj}", dim, dim)
        linear("visual.attnpool.c_proj", spec["embed"], dim)
    else:
        _, layers, width, patch, resolution = spec["vision"]
        conv("visual.conv1", width, 3, patch)
        put("visual.class_embedding", (width,), width**-0.5)
        put("visual.positional_embedding", ((resolution // patch) ** 2 + 1, width), width**-0.5)
        ln("visual.ln_pre", width)
        blocks("visual.transformer", layers, width)
        ln("visual.ln_post", width)
        put("visual.proj", (width, spec["embed"]), width**-0.5)

    layers, width = spec["text"]
    put("token_embedding.weight", (VOCAB, width), 0.5)
    put("positional_embedding", (CONTEXT, width), 0.1)
    blocks("transformer", layers, width)
    ln("ln_final", width)
    put("text_projection", (width, spec["embed"]), width**-0.5)
    sd["logit_scale"] = torch.tensor(4.60546875)  # log(100), as half holds it
    sd["input_resolution"] = torch.tensor(resolution)
    sd["context_length"] = torch.tensor(CONTEXT)
    sd["vocab_size"] = torch.tensor(VOCAB)
    return sd


if __name__ == "__main__":
    arch, seed, out = sys.argv[1:]
    torch.save(build(arch, int(seed)), out)
