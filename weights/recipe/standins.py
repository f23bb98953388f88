"""Latents that stand for videos and things no photo shows: of clips of which only captions are at hand, and of the vision tower's classes.

A caption's hidden states say roughly where the latents of what it tells of lie: a ridge regression from captions to the latents of
their photos. What that leaves open is taken from some photo, so that stand-ins vary as photos do (as the noise of Nukrai et al.
2022, "Text-only training for image captioning using noise-injected CLIP"). Where a clip's captions name a class of the tower's
head, the class's direction (classes.py) is added: what the regression has never seen.
"""

import re
from collections import Counter

import numpy as np
import torch

from classes import CONTEXT, class_texts, directions
from common import log, read_captions, save_array
from retrieval import text_inputs
from texts import TextStates

RIDGE = 0.3  # of the mean variance of a text's numbers
KEPT = 5  # captions of a clip: those with most words in common with its others
SHORTEST, LONGEST = 5, 14  # words of them
# Last words of classes' names that mean other things too: "a can", "his head".
MANY_MEANINGS = {"can", "head", "box", "stick", "track", "wall", "bear", "cap", "shop", "apple", "sign", "chain", "two"}
NAMING = 2  # captions of a clip that name a class from which it shows one
CLASS_SHARE = 0.6  # of a class's direction beside what the captions say
VIEWS = 4
SEED = 6


def clip_captions(path):
    """{clip: KEPT captions} of a table (columns clip, caption), of clips that have so many."""
    kept = {}
    for clip, captions in read_captions(path).items():
        captions = sorted({caption for caption in captions if SHORTEST <= len(caption.split()) <= LONGEST and caption.isascii()})
        often = Counter(word for caption in captions for word in set(caption.lower().split()))
        captions.sort(key=lambda caption: -np.mean([often[word] for word in set(caption.lower().split())]))
        if len(captions) >= KEPT:
            kept[clip] = captions[:KEPT]
    return kept


def class_named(captions, names):
    """The class that most of a clip's captions name, or None. names: {words: class}."""
    found = Counter()
    for caption in captions:
        words = re.findall(r"[a-z'-]+", caption.lower())
        spans = {" ".join(words[start:start + length]) for length in (1, 2, 3) for start in range(len(words))}
        found.update({names[span] for span in spans if span in names})
    likeliest = found.most_common(1)
    return likeliest[0][0] if likeliest and likeliest[0][1] >= NAMING else None


def single_names():
    """{name in lower case: class} of names and last words that one class alone has."""
    return {said.text.lower(): said.classes[0] for said in class_texts() if len(said.classes) == 1 and said.text not in MANY_MEANINGS}


class Guess:
    """The latents that captions let expect."""

    def __init__(self, states, latents):
        """states: of texts.py, of all captions of the photos in order; latents (n, 256) of the photos."""
        inputs = text_inputs(states)
        self.mean, self.scale = inputs.mean(0), 1 / (inputs.std(0) + 1e-3)
        each = len(states) // len(latents)
        x, y = (inputs - self.mean) * self.scale, latents.repeat_interleave(each, 0)
        self.middle = latents.mean(0)
        gram = x.T @ x / len(x)
        gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
        self.weight = torch.linalg.solve(gram, x.T @ (y - self.middle) / len(x))
        # Of a photo's captions together, as of a clip's.
        self.left = latents - self(states).view(len(latents), each, -1).mean(1)
        log(f"captions let expect {1 - float(self.left.square().sum() / (latents - self.middle).square().sum()):.2f} of the latents' variance")

    def __call__(self, states):
        return (text_inputs(states) - self.mean) * self.scale @ self.weight + self.middle


def views_of(means, rest, generator):
    """(N, VIEWS, 256): each of means (N, 256) with what some photos add, rest (n, 256)."""
    others = torch.randint(len(rest), (len(means), VIEWS), generator=generator)
    return (means[:, None] + rest[others]).numpy()


def states_of(captions, work):
    """Hidden states of the clips' captions, from the work folder where they are there."""
    path = work / "texts-clips.npy"
    if not path.exists():
        save_array(path, TextStates().states([caption for group in captions.values() for caption in group]).astype(np.float16))
    return np.load(path)


def table_of(data):
    return data / "text" / "msvd-train-captions.tsv"


def prepare(data, work):
    """Leaves the states of the clips' captions in the work folder, before several processes want them."""
    states_of(clip_captions(table_of(data)), work)


def made(data, work):
    """(captions of clips {clip: [str]}, latents (clips, VIEWS, 256), latents of the classes (1000, VIEWS, 256))."""
    generator = torch.Generator().manual_seed(SEED)
    captions = clip_captions(table_of(data))
    states = states_of(captions, work)
    plain = torch.from_numpy(np.load(work / "latents-train.npy")[:, 0].astype(np.float32))
    features = np.load(work / "features-train.npy", mmap_mode="r")[:, 0]
    toward, names = directions(features, plain), single_names()
    guess = Guess(np.load(work / "texts-train.npy"), plain)
    means = guess(states).view(len(captions), KEPT, -1).mean(1)
    classes = [class_named(group, names) for group in captions.values()]
    for row, number in enumerate(classes):
        if number is not None:
            means[row] += CLASS_SHARE * toward[number]
    log(f"{len(captions)} clips by their captions, {sum(number is not None for number in classes)} with a class")
    middle = plain.mean(0)
    return captions, views_of(means, guess.left, generator), views_of(middle + toward, CONTEXT * (plain - middle), generator)
