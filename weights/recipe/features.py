"""Step: pooled features of every image in four views, by the tuned vision tower where it is there, else by the published one.

Writes features.npy in the work folder: (images, VIEWS, 6400) float16, images as in sets.image_table. A run that was cut off goes on
after its last chunk.
"""

import numpy as np
import torch

from common import CHANNELS, TOKENS, log
from sets import image_table
from stems import VIEWS, Stems, TunedTower
from vision import folded_weights, pool_tokens

BATCH = 32
CHUNK = 512  # images between two notes of how far it is


def tower_weights(work):
    """The tower's weights by the pack's names: tuned ones where the step `tower` has run."""
    tuned = work / "tower.pt"
    return torch.load(tuned, weights_only=True) if tuned.exists() else folded_weights()


@torch.inference_mode()
def run(data, work):
    """Compute the features that are missing."""
    images, _ = image_table(data)
    path, note = work / "features.npy", work / "features.done"
    done = int(note.read_text()) if note.exists() else 0
    if done == len(images):
        return
    shape = (len(images), VIEWS, TOKENS * CHANNELS)
    features = np.load(path, mmap_mode="r+") if done else np.lib.format.open_memmap(path, "w+", np.float16, shape)
    stems = Stems(work, images)
    tower = TunedTower(tower_weights(work)).eval().to(memory_format=torch.channels_last)
    for start in range(done, len(images), CHUNK):
        pairs = [(image, view) for image in range(start, min(start + CHUNK, len(images))) for view in range(VIEWS)]
        for first in range(0, len(pairs), BATCH):
            chosen = pairs[first:first + BATCH]
            stem, _ = stems.take(chosen)
            for pair, tokens in zip(chosen, pool_tokens(tower.rest(stem)).flatten(1).half().numpy()):
                features[pair] = tokens
        features.flush()
        note.write_text(str(min(start + CHUNK, len(images))))
        log(f"features: {min(start + CHUNK, len(images))} of {len(images)} images")
