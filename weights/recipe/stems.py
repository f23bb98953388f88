"""The vision tower in two parts: frozen blocks, whose output is worked out once for each image and view, and those that are tuned.

Kept in the work folder and filled as views are needed: stem.npy (images, VIEWS, 88, 17, 17) float16, the output of the frozen
blocks, and scores.npy (images, VIEWS, 1000), the class scores that the published tower gives.
"""

import random
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from vision import SIZE, VisionTower, folded_weights, normalise, same_padding

FROZEN_BLOCKS = 10  # of 21
STEM_SHAPE = (88, 17, 17)
STEM_BATCH = 24
CLASSES = 1000
VIEWS = 4  # plain, mirrored, a crop, another crop mirrored
CROP_SIDE = (0.7, 0.95)  # of each side of the photo: enough to move the 2 x 2 means, too little to cut off what captions name


def pixels_of(image, box=None):
    """A photo, or a box of it, as (260, 260, 3) uint8, resized with an antialiased bilinear (triangle) filter."""
    return np.asarray(image.resize((SIZE, SIZE), Image.BILINEAR, box))


def view_of(path, view):
    """A view of the image in a file: (260, 260, 3) uint8. The same one each time."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    box, rng = None, random.Random(path.name)
    for _ in range(max(0, view - 1)):
        width, height = (rng.uniform(*CROP_SIDE) * side for side in image.size)
        left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        box = (left, top, left + width, top + height)
    pixels = pixels_of(image, box)
    return pixels[:, ::-1] if view % 2 else pixels


class TunedTower(VisionTower):
    """The tower in two parts: `stem` runs the frozen blocks, `rest` the tuned ones."""

    def conv(self, name, x, stride=1, groups=1):
        """As in VisionTower. The bias of a depthwise convolution is added on its own: inside the convolution, its gradient makes oneDNN
        work out the filters' gradient too, which takes ten times as long as all the rest.
        """
        if groups == 1:
            return super().conv(name, x, stride, groups)
        weight, bias = self.weights[f"{name}/weight"], self.weights[f"{name}/bias"]
        before, after = same_padding(x.shape[-1], weight.shape[-1], stride)
        if before != after:
            x, before = F.pad(x, (before, after, before, after)), 0
        return F.conv2d(x, weight, None, stride, before, 1, groups) + bias.to(x.dtype).view(-1, 1, 1)

    def stem(self, x):
        """(B, 3, 260, 260) -> (B, 88, 17, 17)."""
        return self.blocks_of(F.relu6(self.conv("stem", x, stride=2)), 0, FROZEN_BLOCKS)

    def rest(self, x):
        """(B, 88, 17, 17) -> (B, 1280, 9, 9)."""
        return F.relu6(self.conv("head", self.blocks_of(x, FROZEN_BLOCKS, len(self.blocks))))

    def tuned(self):
        """{name: parameter} of what is learned. The head of the classes stays, so that its published weights go on saying where a class lies."""
        frozen = tuple(f"blocks/{index}/" for index in range(FROZEN_BLOCKS)) + ("stem/", "classifier/")
        return {name: value for name, value in self.weights.items()
                if not name.startswith(frozen) and not name.endswith("depthwise/weight")}


class Stems:
    """Frozen outputs and published class scores of every image and view, worked out when they are first asked for."""

    def __init__(self, work, images):
        self.images = images
        self.stem = self.opened(work / "stem.npy", (len(images), VIEWS, *STEM_SHAPE))
        self.scores = self.opened(work / "scores.npy", (len(images), VIEWS, CLASSES))
        self.published = TunedTower(folded_weights()).eval().to(memory_format=torch.channels_last)
        self.run_stem = torch.compile(self.published.stem) if shutil.which("g++") else self.published.stem

    def opened(self, path, shape):
        if path.exists():
            array = np.load(path, mmap_mode="r+")
            if array.shape != shape:
                raise SystemExit(f"{path} is of other images: remove it")
            return array
        return np.lib.format.open_memmap(path, "w+", np.float16, shape)

    def missing(self, wanted):
        """Of [(image, view)] those not worked out yet: no image's scores are all 0."""
        return [pair for pair in dict.fromkeys(wanted) if not self.scores[pair].any()]

    @torch.inference_mode()
    def fill(self, wanted):
        """Work out the views that are missing."""
        wanted = self.missing(wanted)
        for start in range(0, len(wanted), STEM_BATCH):
            pairs = wanted[start:start + STEM_BATCH]
            pixels = torch.zeros(STEM_BATCH, SIZE, SIZE, 3, dtype=torch.uint8)  # always as many: another size would be compiled anew
            for at, pair in enumerate(pairs):
                pixels[at] = torch.tensor(view_of(self.images[pair[0]], pair[1]).copy())
            stem = self.run_stem(normalise(pixels))[:len(pairs)]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = self.published.logits(self.published.rest(stem).float())
            for pair, own, score in zip(pairs, stem.half().numpy(), scores.half().numpy()):
                self.stem[pair], self.scores[pair] = own, score

    def take(self, pairs):
        """(N, 88, 17, 17) and class scores (N, 1000), float32 tensors."""
        self.fill(pairs)
        stem = torch.from_numpy(np.stack([self.stem[pair] for pair in pairs])).float()
        scores = torch.from_numpy(np.stack([self.scores[pair] for pair in pairs])).float()
        return stem.contiguous(memory_format=torch.channels_last), scores
