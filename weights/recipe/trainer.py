"""What every training of the adapter and the projector shares: weights, loss, update, checkpoints, time.

Data-parallel over processes of one thread each, which meet once a step: on a machine that is busy with other work, threads
that meet in every matrix product would wait for each other most of the time. A GPU has one process.
"""

import json
import math
import os
import signal
import sys
import time

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing
from safetensors.numpy import load_file

from batch import Latents, Trees, Written, rounding_grid
from carry import carried, is_foreign
from common import PACK_FOLDER, log
from concepts import Concepts
from convert import load_language
from data import Captions, Example, Frame, after_visual
from device import choose_setting
from language import ADAPTER_SCALE, Adapter, FrozenHeadLoss, Language, Projector
from pack import PROMPT
from sets import image_table

SEED = 1
TOKEN_BUDGET = 1100  # padded tokens of one process's share of a batch, on a CPU core
POOL = 256  # examples that are sorted by length and cut into batches
CHAT_PASSES = 3  # over the text-only prompts, in a pass over the photos, where a training goes on from another
WARMUP = 0.03  # share of the time
WEIGHT_DECAY = 0.01
CLIP = 1.0
CHECKPOINT_SECONDS = 300
# A process that was stopped for a while (a suspended machine, a paused job) goes on with its schedule where it was.
LONGEST_STEP = 120
DEV_SIGHTS = 120  # of each data set, for the loss printed at each checkpoint


class Trainer:
    """One process of a training. rank 0 logs and saves; all hold the same weights."""

    def __init__(self, data, work, setting, rate, rank=0, world=1):
        torch.manual_seed(SEED)
        self.setting, self.rank, self.world = setting, rank, world
        self.work, self.data = work, data
        self.trees = Trees()
        _, found = image_table(data)
        values = np.load(work / "latents.npy")
        concepts = Concepts(values)
        self.captions = {split: Captions(sights, values[:, 0], concepts) for split, sights in found.items()}
        self.latents = Latents(values, rounding_grid(values[found["train"][0].rows.start:]), setting.device)
        self.language = Language(load_language(), setting)
        self.adapter = Adapter().to(setting.device)
        sigma = torch.from_numpy(load_file(PACK_FOLDER / "latent-map.safetensors")["sigma"])
        self.projector = Projector(sigma).to(setting.device)
        self.ready(rate)

    def ready(self, rate):
        """The optimiser and the counters of a run at its beginning."""
        self.rate = rate
        self.generator = torch.Generator(self.setting.device).manual_seed(SEED + self.rank)
        self.parameters = [*self.adapter.parameters(), *self.projector.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY, fused=True)
        self.epoch, self.at, self.steps, self.seconds = 0, 0, 0, 0.0
        self.saved = time.time()

    def chat_examples(self):
        """The text-only examples of the step `chat`, where it has run. Of an answer that was cut the end is not learned."""
        chat = self.work / "chat.json"
        told = json.loads(chat.read_text()) if chat.exists() else []
        return [Example([], [(question, [answer if whole else Written(self.trees.encode(answer), 1.0)])]) for question, answer, whole in told]

    def row_batches(self, examples, rng, budget):
        """Examples as batches of rows of at most `budget` padded tokens: similar lengths together, batches in random order."""
        rows = [self.trees.row(example) for example in examples]
        batches = []
        for start in range(0, len(rows), POOL * self.setting.room):
            made = [[]]
            for row in sorted(rows[start:start + POOL * self.setting.room], key=lambda row: len(row.ids)):
                if made[-1] and (len(made[-1]) + 1) * len(row.ids) > budget:
                    made.append([])
                made[-1].append(row)
            rng.shuffle(made)
            batches += made
        return batches

    def batch(self, rows):
        return self.trees.batch(rows, self.setting.device)

    def loss(self, batch, z, adapter, temperature=1.0):
        """Weighted sum of a batch's cross entropies with latents z (frames, 256), its logits divided by the temperature."""
        x = self.language.embedding[batch.ids]
        if len(batch.frames):
            tokens = self.projector(z).flatten(0, 1).to(x.dtype)
            x = x.index_copy(0, batch.visual, tokens)
        hidden = self.language.forward(x, batch.positions, batch.mask, batch.root, batch.shape, adapter)
        return FrozenHeadLoss.apply(hidden[batch.loss_at] / temperature, self.language.embedding, batch.term_rows, batch.targets, batch.weights)

    @torch.no_grad()
    def prompts(self, pieces, z, question):
        """Embeddings of P contexts and a question, after the root: [(L, 576)].

        pieces: of each, strings and frames; z: the latents of all their frames in order, (frames, 256).
        """
        table, device, tokens = self.language.embedding, self.setting.device, iter(self.projector(z))
        made = []
        for context in pieces:
            parts = [next(tokens).to(table.dtype) if isinstance(piece, Frame) else table[torch.tensor(self.trees.encode(piece), device=device)]
                     for piece in [*context, after_visual(question)]]
            made.append(torch.cat(parts))
        return made

    @torch.no_grad()
    def dev_loss(self, source="flickr8k", shift=0):
        """Loss per caption token on dev sights of one data set with rounded latents; shift > 0 shows other sights' latents instead."""
        captions, adapter = self.captions["dev"], self.adapter.cast(self.setting.dtype)
        self.projector.eval()
        chosen = [at for at in captions.captioned if captions.sights[at].source == source][:DEV_SIGHTS]
        total, count = 0.0, 0.0
        for start in range(0, len(chosen), 20):
            examples = [Example(captions.plain_pieces(chosen[(at + shift) % len(chosen)]), [(PROMPT["default_question"], captions.sentences[chosen[at]][:5])])
                        for at in range(start, min(start + 20, len(chosen)))]
            batch = self.batch([self.trees.row(example) for example in examples])
            total += self.loss(batch, self.latents.rounded(batch.frames), adapter).item()
            count += batch.weights.sum().item()
        self.projector.train()
        return total / count

    def shape(self, budget):
        """Share of the rate at this moment: a short rise, then a cosine over the wall-clock time."""
        progress = min(1.0, self.seconds / budget)
        return min(1.0, progress / WARMUP) * 0.5 * (1 + math.cos(math.pi * progress))

    def update(self, share, *facts):
        """One optimiser step at `share` of the rate with the gradients of all processes; returns the facts' sums over them.

        The first fact is what the gradients are divided by.
        """
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        told = torch.tensor([float(torch.as_tensor(fact).detach()) for fact in facts], device=grads[0].device)
        shared = torch.cat([*(grad.flatten() for grad in grads), told])
        if self.world > 1:
            torch.distributed.all_reduce(shared)
        told, start = shared[-len(facts):].tolist(), 0
        for parameter in self.parameters:
            parameter.grad = (shared[start:start + parameter.numel()] / told[0]).view_as(parameter)
            start += parameter.numel()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * share
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        return told

    def state(self):
        return {"adapter": self.adapter.state_dict(), "projector": self.projector.state_dict(),
                "optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state(),
                "epoch": self.epoch, "at": self.at, "steps": self.steps, "seconds": self.seconds}

    def save_now_and_then(self, name):
        """A checkpoint every CHECKPOINT_SECONDS of real time, whatever the schedule counts."""
        if time.time() - self.saved > CHECKPOINT_SECONDS:
            self.save(name)

    def save(self, name):
        self.saved = time.time()
        if self.rank == 0:
            target = self.work / name
            temporary = target.with_name(target.name + ".part")
            torch.save(self.state(), temporary)
            os.replace(temporary, target)

    def load(self, name):
        """Goes on from a checkpoint. Returns its state."""
        state = torch.load(self.work / name, weights_only=True, map_location=self.setting.device)
        self.adapter.load_state_dict(state["adapter"])
        self.projector.load_state_dict(state["projector"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.rank == 0:
            self.generator.set_state(state["generator"].cpu())
        else:
            self.generator.manual_seed(SEED + self.rank + state["steps"])
        for key in ("epoch", "at", "steps", "seconds"):
            setattr(self, key, state[key])
        return state

    def start_from(self, path):
        """The weights of an earlier run: its trained.pt, or a pack's folder, also one of another feature space. The optimiser starts anew."""
        state = start_state(path)
        if path.is_dir() and is_foreign(path):
            state["projector"] = carried(state["projector"], path, self.data, self.work, self.projector.norm.cpu())
        self.adapter.load_state_dict(state["adapter"])
        self.projector.load_state_dict(state["projector"])

    def count_time(self, last):
        """Adds the time since `last` to the run's, the same on every process; returns now."""
        now = time.time()
        passed = torch.tensor([min(now - last, LONGEST_STEP)], dtype=torch.float32, device=self.setting.device)
        if self.world > 1:
            torch.distributed.broadcast(passed, 0)
        self.seconds += passed.item()
        return now

    def log(self, text):
        if self.rank == 0:
            log(text)


def start_state(path):
    """{"adapter": state, "projector": state} of a trained.pt or of a pack's folder."""
    if not path.is_dir():
        state = torch.load(path, weights_only=True, map_location="cpu")
        return {part: state[part] for part in ("adapter", "projector")}
    projector = {name: torch.from_numpy(value).float() for name, value in load_file(path / "projector.safetensors").items()}
    adapter = {}
    for name, value in load_file(path / "adapter.safetensors").items():
        _, layer, linear, part = name.split(".")
        adapter[f"{part}.{layer}_{linear}"] = torch.from_numpy(value).float() / (ADAPTER_SCALE if part == "b" else 1)
    return {"adapter": adapter, "projector": projector}


def process(rank, world, work, body, arguments):
    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{(work / 'meeting').resolve()}", rank=rank, world_size=world)
    body(rank, world, *arguments)
    if world > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def spawn(processes, work, body, *arguments):
    """Runs body(rank, world, setting, work, *arguments) in processes that meet: one on a GPU, else `processes` of one thread."""
    setting = choose_setting()
    log(f"training on {setting.device} in {str(setting.dtype).removeprefix('torch.')}")
    world = 1 if setting.device == "cuda" else processes
    (work / "meeting").unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    started = torch.multiprocessing.spawn(process, (world, work, body, (setting, work, *arguments)), nprocs=world, join=False)
    try:
        while not started.join():
            pass
    finally:  # of a recipe that is stopped they would go on, and write into the checkpoints of the next one
        for child in started.processes:
            child.terminate()
