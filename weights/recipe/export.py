"""Step 7: the trained projector and adapter as pack files, then pack.json and the model card."""

import json

from safetensors.torch import save_file

from card import finish, known
from common import PACK_FOLDER, log, write_json
from device import choose_setting
from language import ADAPTER_SCALE, LAYERS, LINEARS
from trainer import Trainer, start_state

# Of the mean of two runs. At a half the captions are best and what only the later one was taught is lost; at 1 the other way round.
LATER_WEIGHT = 0.75


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


def between(earlier, later):
    """A mean of two training states of one trajectory, LATER_WEIGHT of it the later one: both parts, projector and adapter."""
    return {part: {name: (1 - LATER_WEIGHT) * value + LATER_WEIGHT * later[part][name] for name, value in earlier[part].items()} for part in ("projector", "adapter")}


def run(data, work, start=None):
    """Write the trained files and finish the pack.

    What `selfcritical` has made goes before what `train` has. start: what the training started from (as Trainer.start_from takes
    it), or None. After `train` the pack then holds a mean of the two, which was better on dev photos than either.
    """
    refined, trained = work / "selfcritical.pt", work / "trained.pt"
    state = start_state(refined if refined.exists() else trained)
    told = {}
    if start and not refined.exists():
        state = between(start_state(start), state)
        told = {"later_weight": LATER_WEIGHT, "earlier": earlier_run(start)}
    log(f"weights of {refined.name if refined.exists() else trained.name}")
    export_weights(state)
    path = work / "training.json"
    training = json.loads(path.read_text()) if path.exists() else known()["training"]
    write_json(path, training | told | losses(data, work))
    finish(work, {})


def earlier_run(start):
    """What a pack tells of its training; nothing of a trained.pt."""
    training = json.loads((start / "pack.json").read_text())["measured"]["training"] if start.is_dir() else {}
    return {key: training[key] for key in ("minutes", "steps", "passes") if key in training}


def losses(data, work):
    """The losses a caption token of the weights in the pack."""
    trainer = Trainer(data, work, choose_setting(), 0.0)
    trainer.start_from(PACK_FOLDER)
    return {"dev_loss": round(trainer.dev_loss(), 3), "dev_loss_with_other_photos": round(trainer.dev_loss(shift=17), 3)}
