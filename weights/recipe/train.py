"""Step 5: train the adapter and the projector on people's words; the 4-bit base stays as it is.

The schedule is over wall-clock time, so it always ends with its cosine finished. A checkpoint is written every five
minutes; a run that was cut off goes on from it with the time that was left.
"""

import random
import time

from common import write_json
from data import ABOUT
from mixing import TRAINED
from trainer import CHECKPOINT_SECONDS, SEED, TOKEN_BUDGET, Trainer, spawn

RATE = 8e-4
LATER_SHARE = 0.7  # of the rate, for a run that starts from an earlier run's weights
FIRST_EPOCH_OF_LATER_RUNS = 100  # so that its passes are not those the weights have seen


class Supervised(Trainer):
    """Learns the examples' answers."""

    checkpoint, result, report = "checkpoint.pt", TRAINED, "training.json"
    facts = {"data": ABOUT}  # that the report has beside the figures

    def epoch_batches(self, epoch):
        """The epoch's batches of rows, reproducible from its number."""
        rng = random.Random(SEED * 1000 + epoch)
        examples = self.captions["train"].epoch(rng) + self.chat_examples()
        rng.shuffle(examples)
        return self.row_batches(examples, rng, TOKEN_BUDGET * self.setting.room)

    def step(self, rows, budget):
        """One optimiser step over all processes' rows; returns (loss per token, tokens)."""
        batch = self.batch(rows)
        z = self.latents.noisy(batch.frames, self.generator) if batch.frames else None
        loss = self.loss(batch, z, self.adapter.cast(self.setting.dtype, self.generator))
        loss.backward()
        tokens, total = self.update(self.shape(budget), batch.weights.sum(), loss)
        return total / tokens, tokens

    def train(self, minutes):
        budget = minutes * 60
        last, looked, window = time.time(), self.seconds, []
        while self.seconds < budget:
            batches = self.epoch_batches(self.epoch)
            steps = len(batches) // self.world
            while self.at < steps and self.seconds < budget:
                window.append(self.step(batches[self.at * self.world + self.rank], budget))
                self.at += 1
                last = self.count_time(last)
                if self.steps % 20 == 0:
                    mean = sum(l * t for l, t in window) / sum(t for _, t in window)
                    self.log(f"step {self.steps} epoch {self.epoch} ({self.at}/{steps}) {self.seconds:.0f} s loss {mean:.3f}")
                    window = []
                self.save_now_and_then(self.checkpoint)
                if self.seconds - looked > CHECKPOINT_SECONDS:
                    looked = self.seconds
                    if self.rank == 0:
                        self.log(f"dev loss a token {self.dev_loss():.3f} of photos, {self.dev_loss('msrvtt'):.3f} of clips")
            if self.at >= steps:
                self.epoch, self.at = self.epoch + 1, 0
        if self.rank == 0:
            dev, other = self.dev_loss(), self.dev_loss(shift=17)
            self.log(f"end: dev loss a token {dev:.3f}, with other photos' latents {other:.3f}")
            passes = self.epoch % FIRST_EPOCH_OF_LATER_RUNS + (self.at / steps if self.at < steps else 0)
            write_json(self.work / self.report, {
                "minutes": round(self.seconds / 60, 1), "steps": self.steps, "passes": round(passes, 2), "processes": self.world,
                "device": self.setting.device, **self.facts, "dev_loss": round(dev, 3), "dev_loss_with_other_photos": round(other, 3)})
            self.save(self.result)


def body(rank, world, setting, work, data, minutes, start):
    trainer = Supervised(data, work, setting, RATE * (LATER_SHARE if start else 1), rank, world)
    if start:
        trainer.start_from(start)
        trainer.epoch = FIRST_EPOCH_OF_LATER_RUNS
    if (work / "checkpoint.pt").exists():
        trainer.load("checkpoint.pt")
    trainer.train(minutes)


def run(data, work, minutes, processes, start=None):
    """Train for `minutes`, or what is left of them after the last checkpoint. start: as Trainer.start_from takes it, or None."""
    if not (work / TRAINED).exists():
        spawn(processes, work, body, data, minutes, start)
