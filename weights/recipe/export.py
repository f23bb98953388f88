"""Step 7: the trained projector and adapter as pack files, then pack.json and the model card."""

import json

from safetensors.torch import save_file

from card import REFINEMENTS, finish, known
from common import PACK_FOLDER, write_json
from device import choose_setting
from language import ADAPTER_SCALE, LAYERS, LINEARS
from mixing import REFINED_REPORT, TRAINED, measured_of, taught, told_of
from trainer import Trainer


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


def run(data, work, start=None):
    """Write the trained files and finish the pack. start: as in taught()."""
    state, told = taught(work, start)
    export_weights(state)
    path = work / "training.json"
    if not path.exists():
        write_json(path, known()["training"])
    told_of(path, told | losses(data, work, state))
    write_json(work / REFINEMENTS, refinements(work, start))
    finish(work, {})


def refinements(work, start):
    """What the trainings after `train` tell of themselves, in order: those that had led to a pack `start`, then this run's."""
    earlier = [] if (work / TRAINED).exists() else measured_of(start).get("refinements", [])
    own = {"selfcritical": work / REFINED_REPORT}
    return earlier + [{"step": step} | json.loads(path.read_text()) for step, path in own.items() if path.exists()]


def losses(data, work, state):
    """The losses a caption token of the trained weights."""
    trainer = Trainer(data, work, choose_setting(), 0.0)
    trainer.adapter.load_state_dict(state["adapter"])
    trainer.projector.load_state_dict(state["projector"])
    return {"dev_loss": round(trainer.dev_loss(), 3), "dev_loss_with_other_photos": round(trainer.dev_loss(shift=17), 3)}
