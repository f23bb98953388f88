"""Step 5: train the adapter and the projector; the 4-bit base stays as it is.

Data-parallel over processes of one thread each, which meet once a step: on a machine that is busy with other work, threads
that meet in every matrix product would wait for each other most of the time.

The schedule is over wall-clock time, so it always ends with its cosine finished. A checkpoint is written every five
minutes; a run that was cut off goes on from it with the time that was left.
"""

import json
import math
import os
import random
import time

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing
from safetensors.numpy import load_file

from batch import Latents, Trees, rounding_grid
from common import PACK_FOLDER, log, read_captions, write_json
from convert import load_language
from data import Captions, Example, Frame, photo_pieces
from language import Adapter, FrozenHeadLoss, Language, Projector
from pack import PROMPT

SEED = 1
TOKEN_BUDGET = 1100  # padded tokens of one process's share of a batch
POOL = 256  # examples that are sorted by length and cut into batches
RATE, PROJECTOR_RATE = 8e-4, 8e-4
LATER_SHARE = 0.7  # of the rates, for a run that starts from an earlier run's weights
FIRST_EPOCH_OF_LATER_RUNS = 100  # so that its passes are not those the weights have seen
WARMUP = 0.03  # share of the time
WEIGHT_DECAY = 0.01
CLIP = 1.0
CHECKPOINT_SECONDS = 300
DEV_PHOTOS = 120  # for the loss printed at each checkpoint


class Trainer:
    """One process of the training. rank 0 logs and saves; all hold the same weights."""

    def __init__(self, data, work, rank=0, world=1):
        torch.manual_seed(SEED)
        self.rank, self.world = rank, world
        self.work = work
        self.trees = Trees()
        self.captions = {name: Captions(read_captions(data / "flickr8k" / f"{name}.tsv")) for name in ("train", "dev")}
        arrays = {name: np.load(work / f"latents-{name}.npy").astype(np.float32) for name in ("train", "dev")}
        grid = rounding_grid(arrays["train"])
        self.latents = {name: Latents(values, grid) for name, values in arrays.items()}
        self.language = Language(load_language())
        self.adapter = Adapter()
        self.projector = Projector(torch.from_numpy(load_file(PACK_FOLDER / "latent-map.safetensors")["sigma"]))
        self.generator = torch.Generator().manual_seed(SEED + rank)
        self.optimizer = torch.optim.AdamW([
            {"params": list(self.adapter.parameters()), "rate": RATE},
            {"params": list(self.projector.parameters()), "rate": PROJECTOR_RATE},
        ], lr=0.0, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY, fused=True)
        self.rate_share = 1.0
        self.epoch, self.at, self.steps, self.seconds = 0, 0, 0, 0.0

    def epoch_batches(self, epoch):
        """The epoch's batches of rows, reproducible from its number: similar lengths together, batches in random order."""
        rng = random.Random(SEED * 1000 + epoch)
        examples = self.captions["train"].epoch(rng)
        chat = self.work / "chat.json"
        if chat.exists():
            examples += [Example([], [(question, [answer])]) for question, answer in json.loads(chat.read_text())]
            rng.shuffle(examples)
        rows = [self.trees.row(example) for example in examples]
        batches = []
        for start in range(0, len(rows), POOL):
            made = [[]]
            for row in sorted(rows[start:start + POOL], key=lambda row: len(row.ids)):
                if (len(made[-1]) + 1) * len(row.ids) > TOKEN_BUDGET:
                    made.append([])
                made[-1].append(row)
            rng.shuffle(made)
            batches += made
        return batches

    def loss(self, batch, z, adapter):
        """(summed loss, number of scored tokens) of a batch with latents z (frames, 256)."""
        x = self.language.embedding[batch.ids]
        if len(batch.frames):
            tokens = self.projector(z).flatten(0, 1).to(x.dtype)
            x = x.index_copy(0, batch.visual, tokens)
        hidden = self.language.forward(x, batch.positions, batch.mask, batch.root, batch.shape, adapter)
        return FrozenHeadLoss.apply(hidden[batch.loss_at], self.language.embedding, batch.targets), len(batch.targets)

    @torch.no_grad()
    def dev_loss(self, shift=0):
        """Loss per caption token on dev photos with rounded latents; shift > 0 shows other photos' latents instead."""
        captions, adapter = self.captions["dev"], self.adapter.cast()
        self.projector.eval()
        total, count = 0.0, 0
        for start in range(0, DEV_PHOTOS, 20):
            photos = range(start, start + 20)
            examples = [Example(photo_pieces(Frame((photo + shift) % DEV_PHOTOS, 0)),
                                [(PROMPT["default_question"], captions.sentences[photo])]) for photo in photos]
            batch = self.trees.batch([self.trees.row(example) for example in examples])
            loss, tokens = self.loss(batch, self.latents["dev"].rounded(batch.frames), adapter)
            total, count = total + loss.item(), count + tokens
        self.projector.train()
        return total / count

    def step(self, rows, budget):
        """One optimiser step over all processes' rows; returns (loss per token, tokens)."""
        progress = min(1.0, self.seconds / budget)
        shape = min(1.0, progress / WARMUP) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * shape * self.rate_share
        batch = self.trees.batch(rows)
        z = self.latents["train"].noisy(batch.frames, self.generator) if batch.frames else None
        loss, tokens = self.loss(batch, z, self.adapter.cast(self.generator))
        loss.backward()
        parameters = [*self.adapter.parameters(), *self.projector.parameters()]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        facts = torch.tensor([loss.item(), float(tokens)])
        shared = torch.cat([*(grad.flatten() for grad in grads), facts])
        if self.world > 1:
            torch.distributed.all_reduce(shared)
        total, tokens = shared[-2:].tolist()
        start = 0
        for parameter in parameters:
            parameter.grad = (shared[start:start + parameter.numel()] / tokens).view_as(parameter)
            start += parameter.numel()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total / tokens, tokens

    def save(self, name):
        target = self.work / name
        temporary = target.with_name(target.name + ".part")
        torch.save({
            "adapter": self.adapter.state_dict(), "projector": self.projector.state_dict(),
            "optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state(),
            "epoch": self.epoch, "at": self.at, "steps": self.steps, "seconds": self.seconds,
        }, temporary)
        os.replace(temporary, target)

    def start_from(self, path):
        """The weights and optimiser state of an earlier run; the schedule and the passes are this run's own."""
        state = torch.load(path, weights_only=True)
        self.adapter.load_state_dict(state["adapter"])
        self.projector.load_state_dict(state["projector"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = FIRST_EPOCH_OF_LATER_RUNS

    def load(self, name):
        state = torch.load(self.work / name, weights_only=True)
        self.adapter.load_state_dict(state["adapter"])
        self.projector.load_state_dict(state["projector"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.rank == 0:
            self.generator.set_state(state["generator"])
        else:
            self.generator.manual_seed(SEED + self.rank + state["steps"])
        for key in ("epoch", "at", "steps", "seconds"):
            setattr(self, key, state[key])

    def elapsed(self, seconds):
        """Rank 0's measure of the time, on every process."""
        if self.world == 1:
            return seconds
        shared = torch.tensor([seconds], dtype=torch.float64)
        torch.distributed.broadcast(shared, 0)
        return shared.item()

    def train(self, minutes):
        budget = minutes * 60
        last, saved, window = time.time(), self.seconds, []
        while self.seconds < budget:
            batches = self.epoch_batches(self.epoch)
            steps = len(batches) // self.world
            while self.at < steps and self.seconds < budget:
                window.append(self.step(batches[self.at * self.world + self.rank], budget))
                self.at, self.steps = self.at + 1, self.steps + 1
                now = time.time()
                self.seconds, last = self.elapsed(self.seconds + now - last), now
                if self.steps % 20 == 0:
                    mean = sum(l * t for l, t in window) / sum(t for _, t in window)
                    self.log(f"step {self.steps} epoch {self.epoch} ({self.at}/{steps}) {self.seconds:.0f} s loss {mean:.3f}")
                    window = []
                if self.seconds - saved > CHECKPOINT_SECONDS:
                    saved = self.seconds
                    if self.rank == 0:
                        self.save("checkpoint.pt")
                        self.log(f"dev loss a token {self.dev_loss():.3f}")
            if self.at >= steps:
                self.epoch, self.at = self.epoch + 1, 0
        if self.rank == 0:
            dev, other = self.dev_loss(), self.dev_loss(shift=17)
            self.log(f"end: dev loss a token {dev:.3f}, with other photos' latents {other:.3f}")
            passes = self.epoch % FIRST_EPOCH_OF_LATER_RUNS + (self.at / steps if self.at < steps else 0)
            write_json(self.work / "training.json", {
                "minutes": round(self.seconds / 60, 1), "steps": self.steps, "passes": round(passes, 2),
                "processes": self.world, "dev_loss": round(dev, 3), "dev_loss_with_other_photos": round(other, 3)})
            self.save("trained.pt")

    def log(self, text):
        if self.rank == 0:
            log(text)


def process(rank, world, data, work, minutes, start):
    """Body of one training process."""
    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{(work / 'meeting').resolve()}", rank=rank, world_size=world)
    trainer = Trainer(data, work, rank, world)
    if start:
        trainer.rate_share = LATER_SHARE
        trainer.start_from(start)
    if (work / "checkpoint.pt").exists():
        trainer.load("checkpoint.pt")
    trainer.train(minutes)
    if world > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def run(data, work, minutes, processes, start=None):
    """Train for `minutes`, or what is left of them after the last checkpoint. start: trained.pt of an earlier run, or None."""
    if (work / "trained.pt").exists():
        return
    (work / "meeting").unlink(missing_ok=True)
    torch.multiprocessing.spawn(process, (processes, data, work, minutes, start), nprocs=processes)
