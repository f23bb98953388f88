"""Means of the weights before and after a training: what a training won is kept in part, and less of what was there is lost."""

import json

from common import log, write_json
from trainer import start_state

# Of the mean of two runs of `train`. At a half the captions are best and what only the later one was taught is lost; at 1 the other way round.
LATER_WEIGHT = 0.75
# Of the mean of `selfcritical` and what it started from. At 1 answers without a video have drifted twice as far, and the scenes' order is told worse.
REFINED_WEIGHT = 0.5
# What the trainings leave in the work folder.
TRAINED, REFINED, REFINED_REPORT = "trained.pt", "selfcritical.pt", "selfcritical.json"


def between(earlier, later, weight):
    """A mean of two training states of one trajectory, `weight` of it the later one: both parts, projector and adapter."""
    return {part: {name: (1 - weight) * value + weight * later[part][name] for name, value in earlier[part].items()} for part in ("projector", "adapter")}


def taught(work, start=None):
    """The weights that `train` and `selfcritical` have led to, with what a card says of them; None where neither has run.

    A mean of the last of them and of what it started from, which was better on dev photos than either.
    start: what the first training started from (as Trainer.start_from takes it), or None.
    """
    refined, trained = work / REFINED, work / TRAINED
    if refined.exists():
        begun = trained if trained.exists() else start
        log(f"weights of {refined.name} and of {begun}")
        if begun is None:
            return start_state(refined), {}
        told_of(work / REFINED_REPORT, {"weight": REFINED_WEIGHT})
        return between(start_state(begun), start_state(refined), REFINED_WEIGHT), {}
    if trained.exists():
        log(f"weights of {trained.name} and of {start}")
        if start is None:
            return start_state(trained), {}
        return between(start_state(start), start_state(trained), LATER_WEIGHT), {"later_weight": LATER_WEIGHT, "earlier": earlier_run(start)}
    return None


def told_of(path, facts):
    """Adds facts to what a training tells of itself."""
    write_json(path, json.loads(path.read_text()) | facts)


def measured_of(start):
    """What a pack tells of itself; nothing of a trained.pt."""
    return json.loads((start / "pack.json").read_text())["measured"] if start is not None and start.is_dir() else {}


def earlier_run(start):
    """What a pack tells of its training."""
    training = measured_of(start).get("training", {})
    return {key: training[key] for key in ("minutes", "steps", "passes") if key in training}
