"""The thousand classes of the vision tower's own head: their names as texts, and latents that stand for photos of them.

They are the only words the pack knows beyond those of the photos' captions, and of most no photo is at hand. But the head's
weights say where photos of a class would lie. In a linear discriminant analysis w_c = S^-1 (m_c - m): weights are what tells
a class's mean apart, whitened by the covariance S within classes. So m_c = m + S w_c, with the covariance of the photos for
S, and across to the latents with that between latents and features. directions() says how well that fits the classes that
the photos do show.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from common import CHANNELS, log
from questions import article
from vision import folded_weights

SURE, DOUBT = 0.3, 0.03  # by the head's probability of a class: a photo shows it; it may
ALIKE = 0.5  # cosine of two classes' directions from which a stand-in of one may pass for the other
RIDGE = 30.0  # in readable()
CHECKED_PHOTOS = 8  # that surely show a class whose direction is checked with them
CONTEXT = 0.7  # how far a stand-in keeps what else a photo shows


def information():
    """The folder of timm with ImageNet's names: WordNet's synonyms and definitions (Fellbaum 1998; Russakovsky et al. 2015)."""
    spec = importlib.util.find_spec("timm")  # without importing: only its files are wanted
    if spec is None:
        raise SystemExit("The package timm is missing: pip install -r weights/recipe/requirements.txt")
    return Path(spec.submodule_search_locations[0]) / "data" / "_info"


def table(name):
    return dict(line.split("\t", 1) for line in (information() / name).read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True)
class ClassText:
    text: str
    classes: tuple  # numbers of the classes it is about


def synsets():
    return (information() / "imagenet_synsets.txt").read_text().split()


def class_names():
    """What each class is called, [[str]]: the first of its names, and others but those in capitals, which are mostly Latin."""
    names = table("imagenet_synset_to_lemma.txt")
    groups = [names[synset].split(", ") for synset in synsets()]
    return [list(dict.fromkeys([first, *(name for name in others if name[0].islower())])) for first, *others in groups]


def class_texts():
    """What may be said of classes: names, last words that several classes may share ("terrier"), definitions. Each text once."""
    meanings, about = table("imagenet_synset_to_definition.txt"), {}
    for number, (synset, called) in enumerate(zip(synsets(), class_names())):
        for name in dict.fromkeys([*called, called[0].split()[-1]]):
            for form in (name, article(name)):
                about.setdefault(form, []).append(number)
        about.setdefault(meanings[synset], []).append(number)
    return [ClassText(text, tuple(dict.fromkeys(numbers))) for text, numbers in about.items()]


@functools.cache
def head():
    """Weights (1000, 1280) and biases (1000) of the tower's head."""
    weights = folded_weights()
    return weights["classifier.weight"].float(), weights["classifier.bias"].float()


def means_of(features):
    """(N, >= 1280) float16 features -> (N, 1280) float32, their first part: the mean over the photo."""
    return torch.from_numpy(features[:, :CHANNELS].astype(np.float32))


def class_scores(features):
    """The head's scores (N, 1000) of features as above."""
    weight, bias = head()
    return means_of(features) @ weight.T + bias


def probabilities(features):
    return class_scores(features).softmax(1)


def directions(features, latents):
    """From the mean latent to that of each class, (1000, D). features (N, >= 1280), latents (N, D): of plain photos."""
    weight, _ = head()
    means = means_of(features)
    covariance = (latents - latents.mean(0)).T @ (means - means.mean(0)) / len(means)
    found = (weight - weight.mean(0)) @ covariance.T
    sure = probabilities(features) > SURE
    checked = [number for number in range(len(found)) if int(sure[:, number].sum()) >= CHECKED_PHOTOS]
    own = torch.stack([latents[sure[:, number]].mean(0) - latents.mean(0) for number in checked])
    cosines = torch.nn.functional.cosine_similarity(own, found[checked])
    # What photos of these few kinds never vary in is too short in S: directions are kept, lengths are those of the classes shown.
    length = (own.norm(dim=1) * cosines).mean()
    log(f"directions of {len(checked)} classes that photos show: mean cosine {float(cosines.mean()):.2f}, {float(length):.1f} from the mean")
    return torch.nn.functional.normalize(found, dim=1) * length


def readable(features, latents):
    """How well the head's scores can be read from latents by a linear map, which is fitted to the training photos and judged on the dev photos.

    features, latents: {"train", "dev"} of plain photos. -> {"variance": share of the scores' variance, "same": share of photos
    whose likeliest class is the same, "same_where_sure": the same where its probability is above a half, "sure": of so many}
    """
    scores = {name: class_scores(values) for name, values in features.items()}
    middle, mean = latents["train"].mean(0), scores["train"].mean(0)
    x = latents["train"] - middle
    fit = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1]), x.T @ (scores["train"] - mean))
    read, true = (latents["dev"] - middle) @ fit + mean, scores["dev"]
    same, sure = read.argmax(1) == true.argmax(1), true.softmax(1).max(1).values > 0.5
    left = (read - true).square().sum() / (true - true.mean(0)).square().sum()
    return {"variance": round(1 - float(left), 3), "same": round(float(same.float().mean()), 3),
            "same_where_sure": round(float(same[sure].float().mean()), 3), "sure": int(sure.sum())}
