"""The recipe's own training step on a made-up batch: prints the median seconds of a step, and the precision the recipe chose.

Arguments: facts as JSON, the recipe's folder relative to the repository. All processes together see the facts' batch.
The projector is left out, and with it the gradient of the first layer's input.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / sys.argv[2]))

import torch
import torch.distributed
import torch.multiprocessing

from batch import Batch
from convert import load_language
from device import cpu_setting
from language import Adapter, Language
from train import RATE, Supervised
from trainer import SEED

facts = json.loads(sys.argv[1])


class MadeUp:
    """In place of the recipe's Trees: the same batch at every step, `rows` of plain causal rows."""

    def __init__(self, rows, vocabulary):
        root, length, scored = facts["root"], facts["length"], facts["scored"] * rows // facts["batch"]
        hidden = torch.ones(length, root + length, dtype=torch.bool).triu(root + 1).expand(rows, -1, -1)
        self.made = Batch(
            ids=torch.randint(vocabulary, (root + rows * length,)),
            positions=torch.cat([torch.arange(root), root + torch.arange(length).repeat(rows)]),
            mask=torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf")).unsqueeze(1),
            root=root, shape=(rows, length), visual=torch.empty(0, dtype=torch.long), frames=[],
            loss_at=root + torch.randperm(rows * length)[:scored].sort().values, term_rows=torch.arange(scored),
            targets=torch.randint(vocabulary, (scored,)), weights=torch.ones(scored))

    def batch(self, rows, device):
        return self.made


class StepTrainer(Supervised):
    """The recipe's trainer with nothing but what a step needs."""

    def __init__(self, rank, world):
        torch.manual_seed(SEED)
        self.setting, self.rank, self.world = cpu_setting(), rank, world
        self.language = Language(load_language(), self.setting)
        self.adapter, self.projector = Adapter(), torch.nn.Module()
        self.ready(RATE)
        self.seconds = 1.0
        self.trees = MadeUp(facts["batch"] // world, len(self.language.embedding))


def process(rank, world, folder):
    torch.set_num_threads(facts["threads"] // world)
    if world > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    trainer = StepTrainer(rank, world)
    times = []
    for i in range(facts["warmUp"] + facts["runs"]):
        start = time.perf_counter()
        trainer.step(None, budget=100.0)
        if i >= facts["warmUp"]:
            times.append(time.perf_counter() - start)
    if rank == 0:
        print(statistics.median(times), str(trainer.setting.dtype).removeprefix("torch."), flush=True)
    if world > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if facts["processes"] == 1:
            process(0, 1, folder)
        else:
            torch.multiprocessing.spawn(process, (facts["processes"], folder), nprocs=facts["processes"])
