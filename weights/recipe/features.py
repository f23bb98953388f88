"""Step 1: pooled EfficientNet-Lite2 features of the photos: plain, mirrored, and two random crops of the training photos.

Writes, in the work folder: features-train.npy (6000, 2, 6400) float16 [plain, mirrored], features-crops.npy (6000, 2, 6400)
[a crop, another crop mirrored], features-dev.npy (1000, 1, 6400).
A run that was cut off goes on after its last full chunk.
"""

import random
import shutil

import numpy as np
import torch
from PIL import Image

from common import CHANNELS, TOKENS, log, read_captions, save_array
from vision import SIZE, VisionTower, folded_weights, normalise, pool_tokens

BATCH = 20
CHUNK = 500  # photos between two savings
CROP_SIDE = (0.7, 0.95)  # of each side of the photo: enough to move the 2 x 2 means, too little to cut off what captions name


def pixels_of(image, box=None):
    """A photo, or a box of it, as (260, 260, 3) uint8, resized with an antialiased bilinear (triangle) filter."""
    return np.asarray(image.resize((SIZE, SIZE), Image.BILINEAR, box))


def plain(image, rng):
    """The photo alone: [pixels]."""
    return [pixels_of(image)]


def plain_and_mirrored(image, rng):
    """[pixels, mirrored pixels]."""
    pixels = pixels_of(image)
    return [pixels, pixels[:, ::-1]]


def crops(image, rng):
    """[a random crop, another one mirrored]."""
    views = []
    for _ in range(2):
        width, height = (rng.uniform(*CROP_SIDE) * side for side in image.size)
        left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        views.append(pixels_of(image, (left, top, left + width, top + height)))
    return [views[0], views[1][:, ::-1]]


def split_features(tower, folder, photos, views, work, name):
    """Features of the views of `photos`, saved in chunks and then as one array (N, views, 6400)."""
    target = work / f"features-{name}.npy"
    if target.exists():
        return
    chunks = []
    for start in range(0, len(photos), CHUNK):
        part = work / f"features-{name}-{start}.npy"
        if not part.exists():
            rows = []
            chunk = photos[start:start + CHUNK]
            for first in range(0, len(chunk), BATCH):
                pixels = []
                for photo in chunk[first:first + BATCH]:
                    with Image.open(folder / photo) as image:
                        pixels.append(views(image.convert("RGB"), random.Random(photo)))
                batch = torch.from_numpy(np.stack([view for group in zip(*pixels) for view in group]))
                with torch.inference_mode():
                    tokens = [pool_tokens(tower(normalise(view))) for view in batch.split(len(pixels))]
                rows.append(torch.stack(tokens, 1).reshape(len(pixels), -1, TOKENS * CHANNELS).half().numpy())
            save_array(part, np.concatenate(rows))
            log(f"features of {name}: {start + len(chunk)} of {len(photos)} photos")
        chunks.append(part)
    save_array(target, np.concatenate([np.load(part) for part in chunks]))
    for part in chunks:
        part.unlink()


def run(data, work):
    """Compute the features of both splits. `data` holds flickr8k/{train,dev}.tsv and flickr8k/images."""
    flickr = data / "flickr8k"
    tower = VisionTower(folded_weights()).eval().to(memory_format=torch.channels_last)
    if shutil.which("g++"):
        tower = torch.compile(tower)  # twice as fast as eager; bfloat16 would be faster still, but 5% off
    # The dev photos first: they are few, and later steps test themselves on them.
    for name, split, views in (("dev", "dev", plain), ("train", "train", plain_and_mirrored), ("crops", "train", crops)):
        photos = list(read_captions(flickr / f"{split}.tsv"))
        split_features(tower, flickr / "images", photos, views, work, name)
