"""Step: words beyond those of the photos' captions, and what the self-critical training has let fade.

Learned together: clips of which only captions are at hand and things by their names, both seen through stand-ins
(standins.py); nearly all questions that photos' captions allow, dialogues and clips made of photos; text-only prompts. The
photos' captions are those that the model itself writes at the start, so that what was won stays (Li and Hoiem 2016,
"Learning without forgetting").

Time and checkpoints as in `train`.
"""

import json
import random

import numpy as np
import torch
import torch.distributed

import standins
from batch import Latents, rounding_grid
from classes import class_names
from common import write_json
from data import PHOTO_JITTER, VIEWS, Captions, Example, Frame, photo_pieces
from mixing import taught
from pack import PROMPT
from questions import SHORT, SHORT_SHARE, upper, with_article
from sampling import Sampler
from train import Supervised
from trainer import CHAT_PASSES, SEED, TOKEN_BUDGET, spawn, start_state

RATE = 5e-4
START = "widen-start.pt"
CLIP_PASSES = 1  # over the clips without a video, in a pass over the photos
QUESTIONS = 6  # about a photo, at most: nearly all that its captions allow. Colours of training photos were told hardly better than of others: seen too rarely
LONGEST, SIDE_BY_SIDE = 40, 50  # tokens of a caption of its own, and how many are written at once
NAMING = ["What is this?", "What is in the photo?", "What can you see?", "What does this show?"]


class Widened(Supervised):
    """Learns from photos, and from what stands in for what no photo shows."""

    checkpoint, result, report = "widened-checkpoint.pt", "widened.pt", "widened.json"

    def __init__(self, data, work, setting, rank=0, world=1):
        super().__init__(data, work, setting, RATE, rank, world)
        photos = self.latents["train"].values.cpu().numpy()
        captions, clips, classes = standins.made(data, work)
        self.classes, self.first_class = class_names(), len(photos) + len(clips)
        self.clips, self.facts = Captions(captions, clips[:, 0], len(photos)), {"clips": len(clips), "questions": QUESTIONS, "rate": RATE}
        self.latents["train"] = Latents(np.concatenate([photos, clips, classes]).astype(np.float32), rounding_grid(photos), setting.device)

    @torch.no_grad()
    def own_captions(self):
        """The model's captions of the training photos, greedy, all processes' together."""
        self.projector.eval()
        sampler, told = Sampler(self.language, self.trees.root), []
        sampler.take(self.adapter.cast(self.setting.dtype))
        photos = range(self.rank, len(self.captions["train"].photos), self.world)
        for start in range(0, len(photos), SIDE_BY_SIDE):
            z = self.latents["train"].rounded([Frame(photo, 0) for photo in photos[start:start + SIDE_BY_SIDE]])
            answers = sampler.answers(self.prompts(z, PROMPT["default_question"]), longest=LONGEST)
            told += [self.trees.text(ids) for ids in answers]
            if start % (10 * SIDE_BY_SIDE) == 0:
                self.log(f"own captions: {len(told)} of {len(photos)}")
        self.projector.train()
        everyones = [told]
        if self.world > 1:
            everyones = [None] * self.world
            torch.distributed.all_gather_object(everyones, told)
        return [everyones[photo % self.world][photo // self.world] for photo in range(len(self.captions["train"].photos))]

    def keep_captions(self):
        """Has the photos' captions be the model's own, from the work folder where they are there."""
        path = self.work / "own-captions.json"
        own = json.loads(path.read_text()) if path.exists() else self.own_captions()
        if self.rank == 0 and not path.exists():
            write_json(path, own)
        self.captions["train"].own = own

    def class_example(self, rng, number):
        """What a stand-in of a class is called, and whether it or another thing is there."""
        name, other = (rng.choice(self.classes[at]) for at in (number, rng.randrange(len(self.classes))))
        question, told = rng.choice(NAMING), rng.choice(["This is {}.", "There is {}."]).format(with_article(name))
        called = (question + SHORT, [f"{upper(with_article(name))}."]) if rng.random() < SHORT_SHARE else (question, [told])
        presence = (f"Is there {with_article(name)}?", [f"Yes, there is {with_article(name)}."])
        if rng.random() < 0.5:
            presence = (f"Is there {with_article(other)}?", [f"No, there is no {other}."])
        return Example(photo_pieces(Frame(self.first_class + number, rng.randrange(VIEWS), PHOTO_JITTER)), [called, presence])

    def epoch_batches(self, epoch):
        rng = random.Random(SEED * 1000 + 700 + epoch)
        examples = self.captions["train"].epoch(rng, QUESTIONS) + CHAT_PASSES * self.chat_examples()
        examples += [self.class_example(rng, number) for number in range(len(self.classes))]
        examples += [self.clips.clip_example(rng, clip) for _ in range(CLIP_PASSES) for clip in range(len(self.clips.photos))]
        rng.shuffle(examples)
        return self.row_batches(examples, rng, TOKEN_BUDGET * self.setting.room)


def body(rank, world, setting, work, data, minutes):
    trainer = Widened(data, work, setting, rank, world)
    trainer.start_from(work / START)
    trainer.keep_captions()
    if (work / Widened.checkpoint).exists():
        trainer.load(Widened.checkpoint)
    trainer.train(minutes)


def run(data, work, minutes, processes, start=None):
    """Train for `minutes`, or what is left of them, from what this run's trainings have led to; where there is none, from `start`."""
    if (work / Widened.result).exists():
        return
    if not (work / START).exists():
        state, _ = taught(work, start) or (None if start is None else start_state(start), {})
        if state is None:
            raise SystemExit("widen needs weights to start from: run the steps train and selfcritical, or name a pack's folder with --start")
        torch.save(state, work / START)
    standins.prepare(data, work)
    spawn(processes, work, body, data, minutes)
