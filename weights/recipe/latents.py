"""Step: the linear map from a frame's 5 x 1280 features to its 256-number latent, a PCA of the training images, and the latents.

Unwhitened: the components are orthonormal and one number scales them all, so that the mean of ||z||^2 over the training
images (plain and mirrored) is 256. Distances and angles between latents are those between features.

Writes latents.npy in the work folder: (images, VIEWS, 256) float32, images as in sets.image_table.
"""

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from common import LATENT_DIM, PACK_FOLDER, log, save_array
from sets import image_table
from stems import VIEWS

CHUNK = 1000  # images mapped at a time


def fit(features, count=LATENT_DIM):
    """features (N, F) float32 tensor -> mean (F), components (count, F), scale ().

    Exact: the eigenvectors of the covariance, which is summed in parts.
    """
    mean, covariance = features.mean(0), torch.zeros(features.shape[1], features.shape[1])
    for part in features.split(4096):
        centred = part - mean
        covariance += centred.T @ centred
    values, vectors = torch.linalg.eigh(covariance / len(features))
    components = vectors[:, -count:].flip(1).T.contiguous()
    # A component's sign is arbitrary; the largest weight is made positive, so that a second run gives the same map.
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    return mean, components * largest.sign(), (values[-count:].sum() / count).sqrt()


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
    kept = float(z.square().sum() * scale**2 / (features - mean).square().sum())
    log(f"256 components keep {kept:.3f} of the variance; sigma from {float(z.std(0).max()):.3f} to {float(z.std(0).min()):.3f}")


def apply_map(features, folder=PACK_FOLDER):
    """(..., 6400) features -> (..., 256) latents, float32 arrays."""
    latent_map = load_file(folder / "latent-map.safetensors")
    return (features.astype(np.float32) - latent_map["mean"]) @ latent_map["components"].astype(np.float32).T / latent_map["scale"]


def run(data, work):
    """Fit the map to the training images and write the latents of all."""
    if (work / "latents.npy").exists():
        return
    images, found = image_table(data)
    features = np.load(work / "features.npy", mmap_mode="r")
    first = found["train"][0].rows.start
    save_map(torch.from_numpy(features[first:, :2].reshape(-1, features.shape[-1])).float())
    latents = np.empty((len(images), VIEWS, LATENT_DIM), np.float32)
    for start in range(0, len(images), CHUNK):
        latents[start:start + CHUNK] = apply_map(features[start:start + CHUNK])
    save_array(work / "latents.npy", latents)
