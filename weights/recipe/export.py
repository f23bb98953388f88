"""Step 6: the trained projector and adapter as pack files, then pack.json and the model card."""

import json

import torch
from safetensors.torch import save_file

from card import write_card
from common import PACK_FOLDER, log
from language import ADAPTER_SCALE, LAYERS, LINEARS
from pack import retrieval_part, write_manifest

SIZE_LIMIT, FILE_LIMIT = 150e6, 45e6  # bytes


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


def finish(work, scores):
    """MODEL_CARD.md and pack.json with the figures there are. scores: measure()'s, or None before it has run."""
    measured = {"training": json.loads((work / "training.json").read_text())}
    if scores:
        measured["float32"] = {"about": "greedy, float32, latents rounded to 4 bits on the training photos' grid", **scores}
    product = work / "product.json"  # of `latentchat evaluate captions dev.tsv --rows latents --report product.json`
    if product.exists():
        report = json.loads(product.read_text())
        scores = {name: round(report["rows"]["latents"][name], 4) for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider_d")}
        measured["product"] = {"photos": report["count"], "beams": report["beams"], **scores}
    write_pack(json.loads((work / "language.json").read_text()), measured)


def refresh():
    """pack.json and the card anew after a part was retrained; the figures of the other parts stay as the pack has them."""
    manifest = json.loads((PACK_FOLDER / "pack.json").read_text())
    write_pack(manifest["language"], manifest["measured"])


def write_pack(language, measured):
    """MODEL_CARD.md and pack.json. language: the numbers of language.json."""
    if retrieval := retrieval_part("measured"):
        measured["retrieval"] = retrieval
    write_card(measured)
    write_manifest(language, measured)
    sizes = {path.name: path.stat().st_size for path in PACK_FOLDER.iterdir()}
    if sum(sizes.values()) > SIZE_LIMIT or max(sizes.values()) > FILE_LIMIT:
        raise SystemExit(f"the pack is too large: {sizes}")
    log(f"pack of {sum(sizes.values()) / 1e6:.1f} MB written")


def mean_of(first, second):
    """The mean of two training states of one trajectory: both parts, projector and adapter."""
    return {part: {name: (value + second[part][name]) / 2 for name, value in first[part].items()} for part in ("projector", "adapter")}


def run(data, work, start=None):
    """Write the trained files and finish the pack.

    start: trained.pt of the run that this one started from, or None. The pack then holds the mean of the two, which was
    better on dev photos than either.
    """
    state = torch.load(work / "trained.pt", weights_only=True)
    if start:
        state = mean_of(state, torch.load(start, weights_only=True))
    export_weights(state)
    finish(work, None)
