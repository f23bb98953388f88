"""Step 7: the trained projector and adapter as pack files, then pack.json and the model card."""

import json

from safetensors.torch import save_file

from card import finish, known
from common import PACK_FOLDER, log, write_json
from device import choose_setting
from language import ADAPTER_SCALE, LAYERS, LINEARS
from trainer import Trainer, start_state

# Of the mean of two runs of `train`. At a half the captions are best and what only the later one was taught is lost; at 1 the other way round.
LATER_WEIGHT = 0.75
# Of the mean of `selfcritical` and what it started from. At 1 answers without a video have drifted twice as far, and the scenes' order is told worse.
REFINED_WEIGHT = 0.5
# Of the mean of `widen` and what it started from. At 1 real videos are told with more words and dev photos worse; text-only answers drift.
WIDENED_WEIGHT = 0.5


def export_weights(state):
    """projector.safetensors and adapter.safetensors in float16, from a training checkpoint."""
    projector = {name: value.half().contiguous() for name, value in state["projector"].items()}
    adapter = {}
    for i in range(LAYERS):
        for name in LINEARS:
            adapter[f"layers.{i}.{name}.a"] = state["adapter"][f"a.{i}_{name}"].half().contiguous()
            adapter[f"layers.{i}.{name}.b"] = (ADAPTER_SCALE * state["adapter"][f"b.{i}_{name}"]).half().contiguous()
    for name, tensors in (("projector", projector), ("adapter", adapter)):
        path = PACK_FOLDER / f"{name}.safetensors"
        save_file(tensors, path)
        path.chmod(0o644)


def between(earlier, later, weight):
    """A mean of two training states of one trajectory, `weight` of it the later one: both parts, projector and adapter."""
    return {part: {name: (1 - weight) * value + weight * later[part][name] for name, value in earlier[part].items()} for part in ("projector", "adapter")}


def taught(work, start=None):
    """The weights that `train` and `selfcritical` have led to, with what a card says of them; None where neither has run.

    A mean of the last of them and of what it started from, which was better on dev photos than either.
    start: what the first training started from (as Trainer.start_from takes it), or None.
    """
    refined, trained = work / "selfcritical.pt", work / "trained.pt"
    if refined.exists():
        begun = trained if trained.exists() else start
        log(f"weights of {refined.name} and of {begun}")
        if begun is None:
            return start_state(refined), {}
        told_of(work / "selfcritical.json", {"weight": REFINED_WEIGHT})
        return between(start_state(begun), start_state(refined), REFINED_WEIGHT), {}
    if trained.exists():
        log(f"weights of {trained.name} and of {start}")
        if start is None:
            return start_state(trained), {}
        return between(start_state(start), start_state(trained), LATER_WEIGHT), {"later_weight": LATER_WEIGHT, "earlier": earlier_run(start)}
    return None


def run(data, work, start=None):
    """Write the trained files and finish the pack. start: as in taught()."""
    widened, told = work / "widened.pt", {}
    if widened.exists():
        log(f"weights of {widened.name} and of what it started from")
        state = between(start_state(work / "widen-start.pt"), start_state(widened), WIDENED_WEIGHT)
        told_of(work / "widened.json", {"weight": WIDENED_WEIGHT})
    else:
        state, told = taught(work, start)
    export_weights(state)
    path = work / "training.json"
    if not path.exists():
        write_json(path, known()["training"])
    told_of(path, told | losses(data, work))
    finish(work, {})


def told_of(path, facts):
    """Adds facts to what a training tells of itself."""
    write_json(path, json.loads(path.read_text()) | facts)


def earlier_run(start):
    """What a pack tells of its training; nothing of a trained.pt."""
    training = json.loads((start / "pack.json").read_text())["measured"]["training"] if start.is_dir() else {}
    return {key: training[key] for key in ("minutes", "steps", "passes") if key in training}


def losses(data, work):
    """The losses a caption token of the weights in the pack."""
    trainer = Trainer(data, work, choose_setting(), 0.0)
    trainer.start_from(PACK_FOLDER)
    return {"dev_loss": round(trainer.dev_loss(), 3), "dev_loss_with_other_photos": round(trainer.dev_loss(shift=17), 3)}
