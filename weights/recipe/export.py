"""Step 7: the trained projector and adapter as pack files, then pack.json and the model card."""

import torch
from safetensors.torch import save_file

from card import finish
from common import PACK_FOLDER, log
from language import ADAPTER_SCALE, LAYERS, LINEARS
from trainer import start_state


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


def mean_of(first, second):
    """The mean of two training states of one trajectory: both parts, projector and adapter."""
    return {part: {name: (value + second[part][name]) / 2 for name, value in first[part].items()} for part in ("projector", "adapter")}


def run(data, work, start=None):
    """Write the trained files and finish the pack.

    What `selfcritical` has made goes before what `train` has. start: what `train` started from (as Trainer.start_from takes it),
    or None. The pack then holds the mean of the two, which was better on dev photos than either.
    """
    refined, trained = work / "selfcritical.pt", work / "trained.pt"
    state = start_state(refined if refined.exists() else trained)
    if start and not refined.exists():
        state = mean_of(state, start_state(start))
    log(f"weights of {refined.name if refined.exists() else trained.name}")
    export_weights(state)
    finish(work, {})
