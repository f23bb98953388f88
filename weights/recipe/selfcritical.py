"""Step 6: captions that people's captions agree with: self-critical sequence training.

Rennie et al. 2017, with the baseline of Luo 2020 ("A better variant of self-critical sequence training"): several captions
are sampled for a photo, and each is made likelier by as much as its CIDEr-D is above the mean of the others'. Beside them
every step learns answers to questions, clips and text-only prompts as `train` does, so that these are not forgotten.

Time and checkpoints as in `train`.
"""

import random
import time

import torch
import torch.distributed

from batch import IM_END, Written
from common import log, write_json
from data import CAPTION_QUESTIONS, DEFAULT_QUESTION_SHARE, Example, Frame
from mixing import REFINED, REFINED_REPORT, TRAINED
from pack import PROMPT
from sampling import Sampler
from score import CiderD, words
from trainer import CHAT_PASSES, CHECKPOINT_SECONDS, SEED, Trainer, spawn

RATE = 3e-4
SIGHTS = 16  # of one round of a process, on a CPU core
SAMPLES = 5  # captions of a photo
TEMPERATURE = 0.7  # of the policy that is trained: nearer to what a search finds than the model's own words at 1
UPDATES = 2  # of one round: the second one's captions are one small step old
LONGEST = 26  # tokens
SUPERVISED_TOKENS = 350  # padded tokens of a process's answers beside an update, on a CPU core
SUPERVISED_WEIGHT = 0.5  # of their mean loss, against policy gradients of advantages of unit deviation
DEV_SIGHTS = 200  # of each data set
DEV_SHARE = 0.15  # of the time, at most, for captions of dev sights
STOP = "."  # as a word of the reward: without it, captions that break off are as good as whole ones


class SelfCritical(Trainer):
    """Learns from the rewards of its own captions."""

    def __init__(self, data, work, setting, rank=0, world=1):
        super().__init__(data, work, setting, RATE, rank, world)
        self.sampler = Sampler(self.language, self.trees.root)
        self.metrics, self.references = {}, {}
        for name, captions in self.captions.items():
            groups = [[self.reward_words(sentence, True) for sentence in group] for group in captions.sentences]
            self.metrics[name] = CiderD(groups)
            self.references[name] = [[self.metrics[name].vectors(tokens) for tokens in group] for group in groups]
        self.window = []

    @staticmethod
    def reward_words(sentence, ended):
        return words(sentence) + ([STOP] if ended and sentence.endswith(STOP) else [])

    def reward(self, split, photo, ids):
        """CIDEr-D of a caption's tokens against the photo's captions."""
        sentence = self.trees.text(ids)
        metric = self.metrics[split]
        return metric.score(metric.vectors(self.reward_words(sentence, ids[-1] == IM_END)), self.references[split][photo])

    def sampled(self, sights, rng):
        """A round's own captions: [(example of a sight, the latents of its frames)]. Notes their rewards."""
        captions = self.captions["train"]
        pieces = [captions.pieces(rng, sight) for sight in sights]
        frames = [[piece for piece in context if isinstance(piece, Frame)] for context in pieces]
        z = self.latents.noisy([frame for own in frames for frame in own], self.generator)
        question = PROMPT["default_question"] if rng.random() < DEFAULT_QUESTION_SHARE else rng.choice(CAPTION_QUESTIONS)
        self.projector.eval()
        self.sampler.take(self.adapter.cast(self.setting.dtype))
        answers = self.sampler.answers(self.prompts(pieces, z, question), SAMPLES, LONGEST, self.generator, TEMPERATURE)
        rewards = torch.tensor([self.reward("train", sights[i // SAMPLES], ids) for i, ids in enumerate(answers)]).view(-1, SAMPLES)
        self.window.append((rewards.mean().item(), sum(map(len, answers)) / len(answers)))
        # Of each against the mean of the others.
        advantages = (rewards - rewards.mean(1, keepdim=True)) * SAMPLES / (SAMPLES - 1)
        advantages = (advantages / advantages.square().mean().sqrt().clamp(min=1e-3)).flatten().tolist()
        written = [Written(ids, advantage) for ids, advantage in zip(answers, advantages)]
        return [(Example(context, [(question, written[i * SAMPLES:(i + 1) * SAMPLES])]), own)
                for i, (context, own) in enumerate(zip(pieces, z.split(list(map(len, frames)))))]

    def step(self, made, rows, budget):
        """One update from sampled captions and supervised rows."""
        dtype = self.setting.dtype
        policy = self.batch([self.trees.row(example) for example, _ in made])
        tokens = sum(len(answer.ids) for example, _ in made for _, answers in example.branches for answer in answers)
        self.projector.eval()
        loss = self.loss(policy, torch.cat([z for _, z in made]), self.adapter.cast(dtype), TEMPERATURE) / tokens
        loss.backward()
        batch = self.batch(rows)
        z = self.latents.noisy(batch.frames, self.generator) if batch.frames else None
        self.projector.train()
        told = self.loss(batch, z, self.adapter.cast(dtype, self.generator)) / batch.weights.sum()
        (SUPERVISED_WEIGHT * told).backward()
        processes, told = self.update(self.shape(budget), 1, told)
        return told / processes

    @torch.no_grad()
    def dev_cider(self):
        """{data set: mean CIDEr-D of greedy captions of its first dev sights with rounded latents}, over all processes."""
        self.projector.eval()
        self.sampler.take(self.adapter.cast(self.setting.dtype))
        captions, found = self.captions["dev"], {}
        for source in ("flickr8k", "msrvtt"):
            chosen = [at for at in captions.captioned if captions.sights[at].source == source][:DEV_SIGHTS]
            own, total, told = chosen[self.rank::self.world], 0.0, []
            for start in range(0, len(own), 50):
                part = own[start:start + 50]
                pieces = [captions.plain_pieces(sight) for sight in part]
                z = self.latents.rounded([piece for context in pieces for piece in context if isinstance(piece, Frame)])
                answers = self.sampler.answers(self.prompts(pieces, z, PROMPT["default_question"]), longest=40)
                total += sum(self.reward("dev", sight, ids) for sight, ids in zip(part, answers))
                told += [self.trees.text(ids) for ids in answers]
            shared = torch.tensor([total], device=self.setting.device)
            if self.world > 1:
                torch.distributed.all_reduce(shared)
            self.log("  " + " | ".join(told[:4]))
            found[source] = round(shared.item() / max(1, len(chosen)), 3)
        return found

    def train(self, minutes):
        budget, room = minutes * 60, self.setting.room
        round_sights = SIGHTS * room
        if self.steps == 0:
            self.first = self.dev_cider()
            self.log(f"start: greedy CIDEr-D of {DEV_SIGHTS} dev photos and clips {self.first}")
        last, looked, cost, supervised_loss = time.time(), self.seconds, 0.0, []
        while self.seconds < budget:
            rng = random.Random(SEED * 1000 + 500 + self.epoch)
            sights = list(self.captions["train"].captioned)
            rng.shuffle(sights)
            others = self.captions["train"].other_examples(rng) + CHAT_PASSES * self.chat_examples()
            rng.shuffle(others)
            batches = self.row_batches(others, rng, SUPERVISED_TOKENS * room)
            rounds = len(sights) // (round_sights * self.world)
            while self.at < rounds and self.seconds < budget:
                own = random.Random(f"{self.epoch} {self.at} {self.rank}")
                first = (self.at * self.world + self.rank) * round_sights
                made = self.sampled(sights[first:first + round_sights], own)
                for update in range(UPDATES):
                    place = ((self.at * UPDATES + update) * self.world + self.rank) % len(batches)
                    supervised_loss.append(self.step(made[update::UPDATES], batches[place], budget))
                self.at += 1
                last = self.count_time(last)
                if self.at % 5 == 0:
                    reward, length = (sum(values) / len(values) for values in zip(*self.window))
                    self.log(f"step {self.steps} epoch {self.epoch} ({self.at}/{rounds}) {self.seconds:.0f} s reward {reward:.3f} "
                             f"tokens {length:.1f} loss of answers {sum(supervised_loss) / len(supervised_loss):.3f}")
                    self.window, supervised_loss = [], []
                self.save_now_and_then("selfcritical-checkpoint.pt")
                if self.seconds - looked > max(CHECKPOINT_SECONDS, cost / DEV_SHARE):
                    begun = self.seconds
                    self.log(f"greedy CIDEr-D of {DEV_SIGHTS} dev photos and clips {self.dev_cider()}")
                    last = self.count_time(last)
                    cost, looked = self.seconds - begun, self.seconds
            if self.at >= rounds:
                self.epoch, self.at = self.epoch + 1, 0
        dev = self.dev_cider()
        if self.rank == 0:
            self.log(f"end: greedy CIDEr-D of {DEV_SIGHTS} dev photos and clips {dev}")
            write_json(self.work / REFINED_REPORT, {
                "minutes": round(self.seconds / 60, 1), "steps": self.steps, "samples": SAMPLES, "rate": RATE,
                "passes": round(self.epoch + self.at / rounds, 2), "processes": self.world, "device": self.setting.device,
                "dev_cider_greedy": {"sights": DEV_SIGHTS, "before": self.first, "after": dev}})
            self.save(REFINED)

    def state(self):
        return {**super().state(), "first": self.first}

    def load(self, name):
        self.first = super().load(name)["first"]


def body(rank, world, setting, work, data, minutes, start):
    trainer = SelfCritical(data, work, setting, rank, world)
    trainer.start_from(start)
    if (work / "selfcritical-checkpoint.pt").exists():
        trainer.load("selfcritical-checkpoint.pt")
    trainer.train(minutes)


def run(data, work, minutes, processes, start=None):
    """Train for `minutes`, or what is left of them, from this run's trained.pt; where there is none, from `start`."""
    if (work / REFINED).exists():
        return
    if (work / TRAINED).exists():
        start = work / TRAINED
    if start is None:
        raise SystemExit("selfcritical needs weights to start from: run the step train, or name a pack's folder with --start")
    log(f"self-critical training from {start}")
    spawn(processes, work, body, data, minutes, start)
