"""Makes the default model pack from published weights and captioned photos and clips: one command, resumable.

    pip install -r weights/recipe/requirements.txt
    python weights/recipe/recipe.py --data FOLDER --work FOLDER [--minutes 60] [--threads 2] [--steps ...]

The pack in weights/default was made by this recipe as of commit 664863b, from photos alone; its trainings since then, from photos and clips
with a tuned vision tower, make the next one.

What the folder of --data holds is said in sets.py; a data set that is not there is left out.
The starting weights come inside the Python packages of requirements.txt; their sha256 are checked (common.py).
Steps, each skipped when its result is there:

    tower      the vision tower's later blocks, tuned with captions       (--minutes)
    features   pooled features of all images in four views                (40 minutes on 2 cores)
    convert    language model, embedding, tokenizer, vision tower        (1 minute)
    latents    the PCA that makes 256 numbers of a frame                 (3 minutes)
    concepts   the map from latents to the classes the tower tells apart  (3 minutes)
    texts      hidden states of captions and of names of classes, for search (40 minutes)
    retrieval  text and latent towers for search, into the pack        (20 minutes)
    fixtures   expected numbers for the tests, under test/fixtures       (2 minutes)
    chat       text-only answers of the unchanged model, for the training (5 minutes)
    train      low-rank adapter and projector                            (--minutes)
    selfcritical  the same, from rewards of its own captions             (--minutes)
    export     projector, adapter, pack.json, model card                 (seconds)
    evaluation questions about dev photos and clips of them, for `latentchat evaluate pack` (seconds)
    confidence how likely answers are right, from the product's own (confidence.py says which file) (seconds)
    card       pack.json and model card again, with the product's figures (card.py says which files)
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

STEPS = ["tower", "features", "convert", "latents", "concepts", "texts", "retrieval", "fixtures", "chat", "train", "selfcritical", "export",
         "evaluation", "confidence", "card"]


# Memory that is given back to the system after a step has to be mapped anew in the next, which took a third of a training's time on two
# cores; and threads that wait for each other in a loop keep a busy machine's cores from whoever could go on.
SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11), "MALLOC_TOP_PAD_": str(1 << 28), "MALLOC_ARENA_MAX": "1",
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "OMP_WAIT_POLICY": "passive"}


def with_settings():
    """Starts the program again with SETTINGS, which are read when a process begins, where they are not set yet."""
    if all(name in os.environ for name in SETTINGS):
        return
    os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for intermediate files and checkpoints")
    parser.add_argument("--minutes", type=float, default=60, help="wall-clock budget of each training (default 60)")
    parser.add_argument("--start", type=Path, help="trained.pt of an earlier run, or a pack's folder such as weights/default: the training starts from its weights")
    parser.add_argument("--threads", type=int, default=2, help="threads, and processes of the training (default 2)")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="only these steps")
    arguments = parser.parse_args()
    with_settings()

    import torch

    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in STEPS:
        if name in arguments.steps:
            step = importlib.import_module(name)
            if name in ("train", "selfcritical"):
                step.run(arguments.data, arguments.work, arguments.minutes, arguments.threads, arguments.start)
            elif name == "tower":
                step.run(arguments.data, arguments.work, arguments.minutes)
            elif name == "export":
                step.run(arguments.data, arguments.work, arguments.start)
            else:
                step.run(arguments.data, arguments.work)


if __name__ == "__main__":
    main()
