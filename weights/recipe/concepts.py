"""Step: words for what the vision tower recognizes, read from the latents alone.

The tower's head tells a thousand classes apart. A linear map from a frame's latent to its scores keeps nearly all of that, so a
container knows what the tower was sure of. Over the frames that are shown the probabilities are averaged; a class that is likely
enough is named, else the kind that it belongs to ("dog", where the breeds share the probability).

Writes into the pack: concepts.safetensors, `weight` (256, 1000) and `bias` (1000) of the map; concepts.json, the classes' names and the
kinds with their classes. `sure`, `kind_sure`, `most` and what was measured stand in the first one's metadata.
"""

import json
import re

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from batch import Latents, rounding_grid
from classes import class_names, class_scores
from common import CHANNELS, LATENT_DIM, PACK_FOLDER, log, write_json
from data import Frame
from sets import image_table
from stems import CLASSES, VIEWS

SURE, KIND_SURE = 0.3, 0.5  # probabilities from which a class, and a kind of class, is named
MOST = 3  # words
EPOCHS, BATCH, RATE, DECAY = 6, 512, 2e-3, 1e-4
JITTER = 0.1  # noise on latents, in standard deviations of each number
SEED = 5

# Kinds of ImageNet's classes, by the first and last number of each run of them.
KINDS = {
    "fish": [(0, 6), (389, 397)], "bird": [(7, 24), (80, 100), (127, 146)], "frog": [(30, 32)], "turtle": [(33, 37)],
    "lizard": [(38, 48)], "crocodile": [(49, 50)], "snake": [(52, 68)], "spider": [(72, 77)], "crab": [(118, 121)],
    "lobster": [(122, 124)], "whale": [(147, 148)], "dog": [(151, 268)], "wolf": [(269, 272)], "fox": [(277, 280)],
    "cat": [(281, 285)], "big cat": [(288, 293)], "bear": [(294, 297)], "beetle": [(300, 307)], "butterfly": [(321, 326)],
    "rabbit": [(330, 332)], "pig": [(341, 343)], "cow": [(345, 347)], "sheep": [(348, 350)], "antelope": [(351, 353)],
    "ape": [(365, 369)], "monkey": [(370, 382)], "elephant": [(385, 386)], "panda": [(387, 388)],
    "car": [(407, 407), (436, 436), (468, 468), (511, 511), (609, 609), (627, 627), (656, 656), (661, 661), (717, 717), (751, 751), (817, 817)],
    "bus": [(654, 654), (779, 779), (874, 874)], "truck": [(555, 555), (569, 569), (675, 675), (734, 734), (864, 864), (867, 867)],
    "boat": [(472, 472), (484, 484), (554, 554), (576, 576), (625, 625), (780, 780), (814, 814), (871, 871), (914, 914)],
    "ship": [(403, 403), (510, 510), (628, 628)], "airplane": [(404, 404), (895, 895)], "train": [(466, 466), (547, 547), (820, 820)],
    "guitar": [(402, 402), (546, 546)], "piano": [(579, 579), (881, 881)],
}
# First names that few people would use, or that mean something else, and what to say in their place.
PLAIN_NAMES = {"cock": "rooster", "drake": "duck", "sorrel": "horse", "ram": "sheep", "hog": "pig", "ox": "cow", "cab": "taxi",
               "carrier": "aircraft carrier", "airliner": "airplane", "liner": "ocean liner", "mobile home": "mobile home",
               "pole": "pole", "plate": "plate of food", "maillot": "swimsuit", "jersey": "T-shirt", "bib": "bib"}


def said_names():
    """How each class is called in a prompt: its first name without what stands in brackets, in everyday words."""
    first = [re.sub(r"\s*\(.*\)", "", names[0]) for names in class_names()]
    return [PLAIN_NAMES.get(name, name) for name in first]


def kind_members():
    """{kind: [class numbers]}."""
    return {kind: [number for first, last in runs for number in range(first, last + 1)] for kind, runs in KINDS.items()}


def words(probabilities, names, kinds):
    """What is named of mean probabilities (1000): at most MOST words, the surest first. The product's rule is the same."""
    found, told = {}, set()
    order = np.argsort(-probabilities)[:MOST]
    for number in order:
        if probabilities[number] >= SURE:
            found[names[number]] = float(probabilities[number])
            told |= {kind for kind, members in kinds.items() if number in members}
    for kind, members in kinds.items():
        if kind not in told and (total := float(probabilities[members].sum())) >= KIND_SURE:
            found[kind] = total
    return sorted(found, key=found.get, reverse=True)[:MOST]


class Concepts:
    """The probabilities that the map reads from every image's latents."""

    def __init__(self, values, folder=PACK_FOLDER):
        """values (images, VIEWS, 256): latents."""
        with safe_open(folder / "concepts.safetensors", "pt") as file:
            weight, bias = file.get_tensor("weight").float(), file.get_tensor("bias").float()
        told = json.loads((folder / "concepts.json").read_text(encoding="utf-8"))
        self.names, self.kinds = told["names"], told["kinds"]
        flat = torch.from_numpy(values).flatten(0, 1)
        read = torch.cat([(part @ weight + bias).softmax(1).half() for part in flat.split(4096)])
        self.probabilities = read.view(*values.shape[:2], CLASSES).numpy()

    def of(self, frames):
        """Mean probabilities (1000) of [Frame]."""
        return np.mean([self.probabilities[frame.image, frame.view] for frame in frames], 0, dtype=np.float32)

    def words(self, frames):
        return words(self.of(frames), self.names, self.kinds)


def fitted(latents, features, images):
    """The map, by distillation: its probabilities of noisy latents are those of the head on plain features."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    read = nn.Linear(LATENT_DIM, CLASSES)
    nn.init.zeros_(read.weight)
    nn.init.zeros_(read.bias)
    pairs = torch.tensor([(image, view) for image in images for view in range(VIEWS)])
    optimizer = torch.optim.AdamW(read.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(pairs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        for chosen in pairs[torch.randperm(len(pairs), generator=generator)].split(BATCH)[:len(pairs) // BATCH]:
            own = chosen.tolist()
            wanted = class_scores(np.stack([features[image, view, :CHANNELS] for image, view in own])).softmax(1)
            z = latents.noisy([Frame(image, view, JITTER) for image, view in own], generator)
            loss = -(wanted * read(z).log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        log(f"concepts: epoch {epoch + 1}, loss {loss.item():.3f}")
    return read.weight.detach().T.contiguous(), read.bias.detach()


def run(data, work):
    """Fit the map on the training images and say how much it keeps on the dev images."""
    path = PACK_FOLDER / "concepts.safetensors"
    if path.exists():
        return
    images, found = image_table(data)
    features, values = np.load(work / "features.npy", mmap_mode="r"), np.load(work / "latents.npy")
    first = found["train"][0].rows.start
    latents = Latents(values, rounding_grid(values[first:]))
    weight, bias = fitted(latents, features, range(first, len(images)))
    true = class_scores(np.asarray(features[:first, 0, :CHANNELS])).softmax(1)
    read = (latents.rounded([Frame(image, 0) for image in range(first)]) @ weight.half().float() + bias).softmax(1)
    sure = true.max(1).values > 0.5
    same = (read.argmax(1) == true.argmax(1))
    measured = {"images": first, "same": round(float(same.float().mean()), 3), "sure": int(sure.sum()),
                "same_where_sure": round(float(same[sure].float().mean()), 3)}
    log(f"concepts on dev images: {measured}")
    write_json(path.with_suffix(".json"), {"names": said_names(), "kinds": kind_members()})
    config = {"sure": SURE, "kind_sure": KIND_SURE, "most": MOST}
    save_file({"weight": weight.half(), "bias": bias.half()}, path, metadata={"measured": json.dumps(measured), "config": json.dumps(config)})
    path.chmod(0o644)
