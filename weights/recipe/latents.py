"""Step 3: the linear map from a frame's 5 x 1280 features to its 256-number latent: a PCA of the training photos.

Unwhitened: the components are orthonormal and one number scales them all, so that the mean of ||z||^2 over the training
photos (plain and mirrored) is 256. Distances and angles between latents are those between features.
"""

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from common import LATENT_DIM, PACK_FOLDER, log, save_array

OVERSAMPLING, ITERATIONS = 64, 6  # of the randomised range finder; the components have converged well before


def fit(features, count=LATENT_DIM):
    """features (N, F) float32 tensor -> mean (F), components (count, F), scale ()."""
    torch.manual_seed(0)
    mean = features.mean(0)
    centred = features - mean
    _, _, basis = torch.svd_lowrank(centred, q=count + OVERSAMPLING, niter=ITERATIONS)
    components = basis[:, :count].T.contiguous()
    # A component's sign is arbitrary; the largest weight is made positive, so that a second run gives the same map.
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = components * largest.sign()
    scale = ((centred @ components.T).square().sum(1).mean() / count).sqrt()
    return mean, components, scale


def save_map(features, folder=PACK_FOLDER):
    """Fit the map and write latent-map.safetensors. features: (N, 6400) float32 tensor."""
    mean, components, scale = fit(features)
    components = components.half()
    z = (features - mean) @ components.float().T / scale
    path = folder / "latent-map.safetensors"
    save_file({
        "mean": mean.numpy(),
        "components": components.numpy(),
        "scale": scale.reshape(1).numpy(),
        "sigma": z.std(0).numpy(),
    }, path)
    path.chmod(0o644)
    centred = features - mean
    log(f"256 components keep {float((z.square().sum() * scale**2) / centred.square().sum()):.3f} of the variance; "
        f"sigma from {float(z.std(0).max()):.3f} to {float(z.std(0).min()):.3f}")


def apply_map(features, folder=PACK_FOLDER):
    """(..., 6400) features -> (..., 256) latents, float32 arrays."""
    latent_map = load_file(folder / "latent-map.safetensors")
    return (features.astype(np.float32) - latent_map["mean"]) @ latent_map["components"].astype(np.float32).T / latent_map["scale"]


def run(data, work):
    """Fit the map where the pack has none, and write latents-train.npy (6000, 4, 256) and latents-dev.npy (1000, 1, 256).

    A map that is there stays: containers are made for one map, and a refit that changed its last bits would refuse them.
    """
    if (work / "latents-dev.npy").exists():
        return
    train = np.load(work / "features-train.npy")
    if not (PACK_FOLDER / "latent-map.safetensors").exists():
        save_map(torch.from_numpy(train.reshape(-1, train.shape[-1])).float())
    save_array(work / "latents-train.npy", apply_map(np.concatenate([train, np.load(work / "features-crops.npy")], 1)))
    save_array(work / "latents-dev.npy", apply_map(np.load(work / "features-dev.npy")))
