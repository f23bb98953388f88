"""An earlier pack's projector for latents of another feature space.

What the earlier tower says of an image is nearly a linear map of what the tuned one says. Solved by least squares over training images and folded
into the projector's first layers, it lets a training go on from what the earlier projector and adapter have learned.
"""

import json

import numpy as np
import torch
from safetensors.numpy import load_file

from common import LATENT_DIM, log
from latents import apply_map
from pack import FEATURE_SPACE
from sets import image_table
from stems import Stems, TunedTower
from vision import pool_tokens

IMAGES = 4000
BATCH = 32
RIDGE = 1.0  # beside sums over IMAGES latents


def is_foreign(folder):
    """Whether a pack's folder is of another feature space."""
    return json.loads((folder / "pack.json").read_text(encoding="utf-8"))["feature_space"] != FEATURE_SPACE


def tower_of(folder):
    """The vision tower of a pack."""
    stored, weights = load_file(folder / "vision.safetensors"), {}
    for name, value in stored.items():
        if name.endswith((".weight", ".bias")):
            wide = value.astype(np.float32)
            residual = name.removesuffix("weight") + "residual"
            if residual in stored:
                scale = stored[f"{residual}_scale"].reshape(-1, *[1] * (wide.ndim - 1))
                wide = wide + stored[residual] * scale
            weights[name] = torch.from_numpy(wide)
    return TunedTower(weights).eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def earlier_latents(folder, images, chosen, work):
    """(N, 256) the pack's own latents of some images."""
    stems, tower, features = Stems(work, images), tower_of(folder), []
    for start in range(0, len(chosen), BATCH):
        stem, _ = stems.take([(image, 0) for image in chosen[start:start + BATCH]])
        features.append(pool_tokens(tower.rest(stem)).flatten(1).numpy())
    return torch.from_numpy(apply_map(np.concatenate(features), folder))


def carried(projector, folder, data, work, norm):
    """The state of a pack's projector, made to read the latents of the work folder. norm (256): what the new projector scales them by."""
    images, found = image_table(data)
    first = found["train"][0].rows.start
    chosen = np.linspace(first, len(images) - 1, IMAGES).round().astype(int).tolist()
    wanted = earlier_latents(folder, images, chosen, work)
    own = torch.from_numpy(np.load(work / "latents.npy", mmap_mode="r")[chosen, 0])
    mean, offset = own.mean(0), wanted.mean(0)
    x, y = own - mean, wanted - offset
    matrix = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(LATENT_DIM), x.T @ y)  # y = x matrix
    kept = 1 - float((y - x @ matrix).square().sum() / y.square().sum())
    log(f"the earlier pack's latents from the new ones: {kept:.3f} of their variance")
    offset = offset - mean @ matrix
    # What the earlier projector multiplied with, and added, for latents as they were.
    enter = projector["norm"]
    state = dict(projector, norm=norm)
    for name in ("fc1.weight", "skip.weight"):
        state[name] = (projector[name] * enter) @ matrix.T / norm
    state["fc1.bias"] = projector["fc1.bias"] + (projector["fc1.weight"] * enter) @ offset
    state["fc2.bias"] = projector["fc2.bias"] + (projector["skip.weight"] * enter) @ offset
    return state
