"""A study: which numbers of a frame serve as latent targets, judged by the retrieval towers that can be trained on them.

    pca-256    principal components of the 5 x 1280 pooled features: what the pack has
    pca-512    twice as many
    max-384    pca-256 and 128 components of each channel's maximum over the 9 x 9 map: small things are not averaged away
    resampler  384 numbers by a resampler: learned queries that attend to the map, as in a Q-Former, trained contrastively with a
               text tower and then held still

Each is seen plain and mirrored (of the maximum and the resampler the map is mirrored, which is nearly that). Prints a table; changes nothing.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import retrieval
from common import CHANNELS, log, read_captions
from features import pixels_of
from latents import fit
from vision import SIZE, VisionTower, folded_weights, normalise

EPOCHS = 16  # of each pair of towers
SIDE, KEPT_CHANNELS = 9, 256  # of the map; principal components of its channels for the resampler
QUERIES, ATTENTION_HEADS, NUMBERS = 8, 8, 384
RESAMPLER_EPOCHS, RESAMPLER_BATCH, RATE = 30, 1000, 5e-4
BATCH = 20
MIRRORED = torch.arange(SIDE * SIDE).view(SIDE, SIDE).flip(1).flatten()


def maps(data, work, name):
    """(N, 81, 1280) float16 feature maps of a split, kept in the work folder."""
    path = work / f"maps-{name}.npy"
    if not path.exists():
        tower = torch.compile(VisionTower(folded_weights()).eval().to(memory_format=torch.channels_last))
        photos = list(read_captions(data / "flickr8k" / f"{name}.tsv"))
        part = path.with_name(path.name + ".part")
        found = np.lib.format.open_memmap(part, "w+", np.float16, (len(photos), SIDE * SIDE, CHANNELS))
        for start in range(0, len(photos), BATCH):
            pixels = np.stack([pixels_of(Image.open(data / "flickr8k" / "images" / photo).convert("RGB")) for photo in photos[start:start + BATCH]])
            with torch.inference_mode():
                found[start:start + BATCH] = tower(normalise(torch.from_numpy(pixels))).flatten(2).transpose(1, 2).half().numpy()
        found.flush()
        part.rename(path)
        log(f"maps of {name}, {SIZE} pixels a side")
    return np.load(path, mmap_mode="r")


def in_parts(values, function):
    """function over 500 photos at a time, as float32 tensors."""
    return torch.cat([function(torch.from_numpy(np.asarray(values[start:start + 500])).float()) for start in range(0, len(values), 500)])


def components(rows, count):
    """Mean and directions (features, count) of rows (N, features), as the latent map's."""
    mean, found, scale = fit(rows, count)
    return mean, found.T / scale


class Resampler(nn.Module):
    """Map tokens (N, 81, 256) -> (N, NUMBERS)."""

    def __init__(self):
        super().__init__()
        self.places = nn.Parameter(torch.randn(SIDE * SIDE, KEPT_CHANNELS) * 0.02)
        self.queries = nn.Parameter(torch.randn(QUERIES, ATTENTION_HEADS, KEPT_CHANNELS // ATTENTION_HEADS) * 0.5)
        self.keys, self.values = nn.Linear(KEPT_CHANNELS, KEPT_CHANNELS), nn.Linear(KEPT_CHANNELS, KEPT_CHANNELS)
        self.out = nn.Linear(QUERIES * KEPT_CHANNELS, NUMBERS)

    def forward(self, x):
        x = F.dropout(x, 0.1, self.training) + self.places
        k, v = (part(x).unflatten(-1, (ATTENTION_HEADS, -1)) for part in (self.keys, self.values))
        weights = (torch.einsum("qhd,nthd->nhqt", self.queries, k) / math.sqrt(k.shape[-1])).softmax(-1)
        seen = torch.einsum("nhqt,nthd->nqhd", weights, v).flatten(1)
        return F.layer_norm(self.out(F.dropout(seen, 0.2, self.training)), (NUMBERS,))


class WithTower(nn.Module):
    """A resampler and a tower over what it gives, under the noise that a container adds. -> (1, N, dim) unit vectors"""

    def __init__(self):
        super().__init__()
        self.resampler = Resampler()
        self.tower = retrieval.Tower(NUMBERS, retrieval.LATENT_HIDDEN, torch.zeros(NUMBERS), torch.ones(NUMBERS))
        self.tower.skip.data.normal_(std=NUMBERS**-0.5)

    def forward(self, x):
        z = self.resampler(x)
        return self.tower(z + retrieval.JITTER * torch.randn_like(z) + (torch.rand_like(z) - 0.5) * 0.4)


def trained_resampler(learned, tokens):
    """tokens (n, 81, 256) float16 of the training photos."""
    torch.manual_seed(retrieval.SEED)
    text, photo = retrieval.text_tower(learned.texts), WithTower()
    retrieval.start(text, retrieval.latent_tower(learned.latents.values[:, 0]), learned.texts, learned.captions, learned.latents.values[:, 0])
    scale = nn.Parameter(torch.full((1,), math.log(1 / retrieval.TEMPERATURE)))
    parameters = [*text.parameters(), *photo.parameters()]
    optimizer = torch.optim.AdamW([{"params": parameters, "weight_decay": retrieval.WEIGHT_DECAY}, {"params": [scale], "weight_decay": 0.0}], betas=(0.9, 0.98))
    steps, step = RESAMPLER_EPOCHS * (len(tokens) // RESAMPLER_BATCH), 0
    for epoch in range(RESAMPLER_EPOCHS):
        for chosen in torch.randperm(len(tokens)).split(RESAMPLER_BATCH)[:len(tokens) // RESAMPLER_BATCH]:
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, step / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
            x = tokens[chosen].float()
            x = x[:, MIRRORED] if torch.rand(1) < 0.5 else x
            picked = torch.rand(len(chosen), 5).argsort(1)[:, :retrieval.CAPTIONS]
            loss = retrieval.loss_of(text(learned.texts[learned.captions[chosen].gather(1, picked).flatten()]), photo(x), scale.exp().clamp(max=100))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 10 == 9:
            log(f"resampler: epoch {epoch + 1}, loss {loss.item():.3f}")
    return photo.resampler.eval()


def run(data, work):
    """Needs the results of the steps features, latents and texts."""
    retrieval.EPOCHS = EPOCHS
    latents = {name: np.load(work / f"latents-{name}.npy").astype(np.float32)[:, :2] for name in ("train", "dev")}
    features = {name: np.load(work / f"features-{name}.npy") for name in ("train", "dev")}
    mean, directions = components(torch.from_numpy(features["train"][:, 0].astype(np.float32)), 512)
    wide = {name: ((torch.from_numpy(values.astype(np.float32)) - mean) @ directions).numpy() for name, values in features.items()}
    del features

    both = {name: maps(data, work, name) for name in ("train", "dev")}
    strongest = {name: in_parts(values, lambda part: part.amax(1)) for name, values in both.items()}
    mean, directions = components(strongest["train"], 128)
    peaks = {name: ((values - mean) @ directions).numpy()[:, None] for name, values in strongest.items()}
    peaked = {name: np.concatenate([values, np.repeat(peaks[name], values.shape[1], 1)], 2) for name, values in latents.items()}

    some = torch.from_numpy(np.asarray(both["train"][::8])).float().flatten(0, 1)
    mean, directions = components(some, KEPT_CHANNELS)
    tokens = {name: in_parts(values, lambda part: ((part - mean) @ directions).half()) for name, values in both.items()}
    resampler = trained_resampler(retrieval.Learned.of(data, work, latents), tokens["train"])
    with torch.inference_mode():
        sampled = {name: torch.stack([in_parts(values[:, order], resampler) for order in (slice(None), MIRRORED)], 1).numpy() for name, values in tokens.items()}
    sampled["dev"] = sampled["dev"][:, :1]

    rows = {}
    for name, arrays in (("pca-256", latents), ("pca-512", wide), ("max-384", peaked), ("resampler", sampled)):
        learned = retrieval.Learned.of(data, work, arrays)
        rows[name] = learned.dev.figures(*retrieval.train(learned))
    log("R@1 / R@10, text to photo and photo to text; mean areas under the curve of things, phrases and classes")
    for name, row in rows.items():
        recalls = "   ".join(f"{row[way]['r1']:4.1f} / {row[way]['r10']:4.1f}" for way in ("text_to_photo", "photo_to_text"))
        log(f"{name:10s} {recalls}   {row['areas']['things']:.3f} {row['areas']['phrases']:.3f} {row['areas']['classes']:.3f}")
