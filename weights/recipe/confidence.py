"""Step: what the witnesses for an answer are worth, learned from the product's own answers.

Reads confidence.jsonl from the work folder, which `latentchat evaluate pack --rows confidence --out WORK ...` writes: answers that are known to be
right or wrong, each with what speaks for it (projector/confidence.ts). Half of them are learned from here; the command's figures are of the other
half. A logistic regression for each kind of answer goes into pack.json, and `doubt`, the chance of being right below which an answer says that it
is not sure: as many answers doubt as keeps those without doubt right, at most MOST_DOUBTED of all.
"""

import json

import numpy as np
import torch
from torch import nn

from common import PACK_FOLDER, log, write_json

FILE = "confidence.jsonl"
# In the product's order.
WITNESSES = ("likelihood", "least", "likeness", "agrees", "named", "unnamed", "presence")
KINDS = ("yes_no", "words", "sentence")
DECAY = 0.02  # of the weights of witnesses brought to unit deviation, a mean example's share
MOST_DOUBTED = 0.32
WRONG_UNDOUBTED = 0.23  # aimed at, a little below what is asked for: it is measured on other answers


def regression(examples):
    """{"bias", "weights"} by logistic regression, for witnesses as they are."""
    x = np.array([[one["testimony"]["evidence"][name] for name in WITNESSES] for one in examples], np.float32)
    y = torch.tensor([float(one["right"]) for one in examples])
    mean, deviation = x.mean(0), np.maximum(x.std(0), 1e-3)
    read = nn.Linear(len(WITNESSES), 1)
    nn.init.zeros_(read.weight)
    optimizer = torch.optim.LBFGS(read.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    scaled = torch.from_numpy((x - mean) / deviation)

    def loss():
        optimizer.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(read(scaled)[:, 0], y) + DECAY * read.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weights = read.weight.detach()[0].numpy() / deviation
    return {"bias": round(float(read.bias) - float(weights @ mean), 5), "weights": [round(float(w), 5) for w in weights]}


def chance(kinds, one):
    """How likely an answer is right."""
    testimony = one["testimony"]
    told = kinds[testimony["kind"]]
    score = told["bias"] + sum(w * testimony["evidence"][name] for w, name in zip(told["weights"], WITNESSES))
    return 1 / (1 + np.exp(-score))


def limit_of(chances, right):
    """The chance below which is doubted: as few answers as keep the others right often enough."""
    order = np.sort(chances)
    for doubted in np.arange(0, MOST_DOUBTED + 1e-9, 0.01):
        limit = float(order[min(len(order) - 1, int(doubted * len(order)))])
        if 1 - right[chances >= limit].mean() <= WRONG_UNDOUBTED:
            break
    return limit


def run(data, work):
    """Write `confidence` into pack.json; nothing where the answers have not been collected."""
    path = work / FILE
    if not path.exists():
        log(f"{path} is not there: evaluate the pack first")
        return
    lines = [one for line in path.read_text(encoding="utf-8").splitlines() if (one := json.loads(line))["learned"]]
    torch.manual_seed(0)
    kinds = {kind: regression([one for one in lines if one["testimony"]["kind"] == kind]) for kind in KINDS}
    chances, right = np.array([chance(kinds, one) for one in lines]), np.array([one["right"] for one in lines])
    doubt = limit_of(chances, right)
    below = chances < doubt
    log(f"{len(lines)} answers, {1 - right.mean():.3f} wrong; doubted below {doubt:.3f}: {below.mean():.3f} of them, "
        f"{1 - right[below].mean():.3f} of these wrong, {1 - right[~below].mean():.3f} of the others")
    manifest = json.loads((PACK_FOLDER / "pack.json").read_text(encoding="utf-8"))
    manifest["confidence"] = {"doubt": round(doubt, 4), "kinds": kinds}
    write_json(PACK_FOLDER / "pack.json", manifest)
