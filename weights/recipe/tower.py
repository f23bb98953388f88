"""Step: the vision tower's later blocks learn from captions; what its ImageNet head knew is kept by distillation.

Three losses share the tuned blocks: captions and images find each other (contrastive), the words of the captions are named
from the image's mean feature (so that a linear map can read them later), and the head gives the probabilities that the
published tower gave.

The earlier blocks stay, so their output is worked out once for each image and view (stems.py): a step costs
a third of a whole one. The depthwise filters of the tuned blocks stay too: their gradient takes two thirds of a step's time on
a CPU and they hold one weight in fifty.

Writes in the work folder, beside what stems.py keeps there: tower-checkpoint.pt every five minutes, from which a run that was cut
off goes on; tower.pt, the tuned weights by the pack's names; tower.json, what was measured.
"""

import math
import random
import re
import time
from collections import Counter

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn

from common import CHANNELS, HIDDEN, PACK_FOLDER, TOKENS, log, save_torch, write_json
from convert import dequantise_embedding, load_language
from sets import image_table
from stems import Stems, TunedTower
from vision import folded_weights, pool_tokens

LEARNED_VIEWS = (0, 3)  # in this step; the others come when later steps ask for them
BATCH = 192  # sights
CAPTIONS = 3  # of each
TOWER_RATE, HEAD_RATE = 1.5e-4, 1e-3
TOWER_DECAY, HEAD_DECAY = 0.01, 0.05
WARMUP_STEPS = 40
CLIP = 2.0
KEEP_WEIGHT, WORD_WEIGHT = 0.3, 0.5
TEXT_WIDTH, TEXT_HEADS, SPACE = 384, 6, 256
LONGEST_TEXT = 24  # tokens
WORD_SIGHTS = 25  # a word is learned if captions of so many sights use it
WORD_CAPTIONS = 2  # of a sight use a word before it counts as seen there
CHECKPOINT_SECONDS = 300
AVERAGE = 0.998  # of the moving average of the weights, which is what is kept
SEED = 11
# Words about the caption or its grammar, not about what is seen.
STOP_WORDS = set("""a an the and or of in on at to with for from by is are was be being been it its his her their he she they them him
this that these those there while as into onto near next up down out over off some several other another one two three who which what
someone something clip video showing shown shows show about then than not no very has have having does do doing can will different
how all also his hers each through around another before after so but if when where via between during""".split())


def words_of(caption):
    return {word for word in re.findall(r"[a-z]+", caption.lower()) if len(word) > 2 and word not in STOP_WORDS}


def singular(word, known):
    """The word without a plural's ending where that is a word too."""
    for ending in ("es", "s"):
        if word.endswith(ending) and word[:-len(ending)] in known:
            return word[:-len(ending)]
    return word


class Vocabulary:
    """The words that captions of enough training sights use; `odds`, the logarithm of how likely each is."""

    def __init__(self, train):
        counts = Counter(word for sight in train for word in set().union(*map(words_of, sight.captions)) if sight.captions)
        self.known = {word for word, count in counts.items() if count >= WORD_SIGHTS}
        self.words = sorted({singular(word, self.known) for word in self.known})
        self.number = {word: number for number, word in enumerate(self.words)}
        seen = torch.zeros(len(self.words))
        for sight in train:
            seen[self.seen(sight)] += 1
        self.odds = ((seen + 1) / (len(train) - seen + 1)).log()

    def seen(self, sight):
        """The numbers of the words that WORD_CAPTIONS of the sight's captions use."""
        counts = Counter(word for caption in sight.captions
                         for word in {singular(word, self.known) for word in words_of(caption)} if word in self.number)
        return [self.number[word] for word, count in counts.items() if count >= min(WORD_CAPTIONS, len(sight.captions))]


class Texts(nn.Module):
    """A caption to a unit vector: the language model's embeddings, frozen, one attention layer, a mean."""

    def __init__(self):
        super().__init__()
        table = torch.from_numpy(dequantise_embedding(load_language())).float()
        self.register_buffer("table", table / table.std(), persistent=False)
        self.tokenizer = Tokenizer.from_file(str(PACK_FOLDER / "tokenizer.json"))
        self.cache = {}
        self.enter = nn.Linear(HIDDEN, TEXT_WIDTH)
        self.positions = nn.Parameter(torch.zeros(LONGEST_TEXT, TEXT_WIDTH))
        self.layer = nn.TransformerEncoderLayer(TEXT_WIDTH, TEXT_HEADS, 2 * TEXT_WIDTH, 0.1, "gelu", batch_first=True, norm_first=True)
        self.leave = nn.Linear(TEXT_WIDTH, SPACE)

    def ids(self, text):
        if text not in self.cache:
            self.cache[text] = self.tokenizer.encode(text.strip().lower().rstrip(" ."), add_special_tokens=False).ids[:LONGEST_TEXT]
        return self.cache[text]

    def forward(self, texts):
        """[str] -> (N, SPACE)."""
        ids = [self.ids(text) or [0] for text in texts]
        longest = max(map(len, ids))
        padded = torch.tensor([own + [0] * (longest - len(own)) for own in ids])
        padding = torch.arange(longest) >= torch.tensor([len(own) for own in ids])[:, None]
        x = self.enter(self.table[padded]) + self.positions[:longest]
        x = self.layer(x, src_key_padding_mask=padding).masked_fill(padding[..., None], 0)
        return F.normalize(self.leave(x.sum(1) / (~padding).sum(1, keepdim=True)), dim=1)


class Heads(nn.Module):
    """What is learned beside the tower, and left out of the pack."""

    def __init__(self, odds):
        super().__init__()
        self.norm = nn.BatchNorm1d(TOKENS * CHANNELS, affine=False, momentum=0.02)
        self.image = nn.Sequential(nn.Dropout(0.1), nn.Linear(TOKENS * CHANNELS, 512), nn.GELU(), nn.Dropout(0.2), nn.Linear(512, SPACE))
        self.words = nn.Sequential(nn.Dropout(0.1), nn.Linear(CHANNELS, len(odds)))
        # From zero the biases would take thousands of steps to say that most words are not there.
        nn.init.zeros_(self.words[1].weight)
        self.words[1].bias.data.copy_(odds)
        self.texts = Texts()
        self.scale = nn.Parameter(torch.tensor(math.log(15.0)))

    def forward(self, tokens):
        """tokens (B, 5, 1280) -> unit vectors (B, SPACE), scores of words (B, words)."""
        x = self.norm(tokens.flatten(1))
        return F.normalize(self.image(x), dim=1), self.words(x[:, :CHANNELS])


def worked():
    """Seconds that this process has had its cores: on a machine that is busy with other work the schedule waits for what was not done."""
    return time.process_time() / torch.get_num_threads()


def contrastive(texts, images, owner, scale):
    """Cross entropy both ways; texts of one sight do not compete. texts (N, d), images (B, d), owner (N) the texts' images."""
    scores = texts @ images.T * scale
    own = F.one_hot(owner, len(images)).bool()
    forward = F.cross_entropy(scores, owner)
    # An image chooses each of its texts among those of others.
    others = scores.masked_fill(own, -1e4).logsumexp(0)
    mine = scores[torch.arange(len(owner)), owner]
    return (forward + (torch.logaddexp(mine, others[owner]) - mine).mean()) / 2


class Tuning:
    """The training: sights in random order, a random frame and view of each."""

    def __init__(self, data, work):
        torch.manual_seed(SEED)
        self.work = work
        images, self.sights = image_table(data)
        self.stems = Stems(work, images)
        self.train = [sight for sight in self.sights["train"] if sight.captions]
        self.vocabulary = Vocabulary(self.train)
        self.seen = [self.vocabulary.seen(sight) for sight in self.train]
        self.tower = TunedTower(folded_weights()).eval().to(memory_format=torch.channels_last)
        self.heads = Heads(self.vocabulary.odds)
        self.tuned = self.tower.tuned()
        for value in self.tuned.values():
            value.requires_grad_(True)
        self.average = {name: value.detach().clone() for name, value in self.tuned.items()}
        self.optimizer = torch.optim.AdamW([
            {"params": list(self.tuned.values()), "rate": TOWER_RATE, "weight_decay": TOWER_DECAY},
            {"params": list(self.heads.parameters()), "rate": HEAD_RATE, "weight_decay": HEAD_DECAY}], lr=0.0, fused=True)
        self.rng, self.order = random.Random(SEED), []
        self.steps, self.seconds = 0, 0.0
        log(f"{len(self.train)} sights and {len(images)} images, {len(self.vocabulary.words)} words, "
            f"{sum(value.numel() for value in self.tuned.values()) / 1e6:.1f} million weights tuned")

    def batch(self):
        """(numbers of sights, [(image, view)])."""
        if len(self.order) < BATCH:
            self.order = self.rng.sample(range(len(self.train)), len(self.train))
        numbers, self.order = self.order[:BATCH], self.order[BATCH:]
        return numbers, [(self.rng.choice(self.train[number].rows), self.rng.choice(LEARNED_VIEWS)) for number in numbers]

    def step(self, progress):
        """One optimizer step; `progress` is the share of the time that has passed. Returns the three losses."""
        numbers, pairs = self.batch()
        stem, published = self.stems.take(pairs)
        captions = [self.rng.sample(self.train[n].captions, min(CAPTIONS, len(self.train[n].captions))) for n in numbers]
        owner = torch.tensor([at for at, own in enumerate(captions) for _ in own])
        seen = torch.zeros(len(numbers), len(self.vocabulary.words))
        for at, number in enumerate(numbers):
            seen[at, self.seen[number]] = 1
        self.heads.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            feature_map = self.tower.rest(stem)
        feature_map = feature_map.float()
        images, words = self.heads(pool_tokens(feature_map))
        texts = self.heads.texts([caption for own in captions for caption in own])
        losses = [contrastive(texts, images, owner, self.heads.scale.exp().clamp(max=60)),
                  WORD_WEIGHT * F.binary_cross_entropy_with_logits(words, seen, reduction="sum") / len(numbers) / 10,
                  KEEP_WEIGHT * F.kl_div(self.tower.logits(feature_map).log_softmax(1), published.log_softmax(1), reduction="batchmean", log_target=True)]
        sum(losses).backward()
        nn.utils.clip_grad_norm_(list(self.tuned.values()), CLIP)
        share = min(1, (self.steps + 1) / WARMUP_STEPS) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * min(1, progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * share
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        decay = min(AVERAGE, 1 - 1 / (self.steps + 1))
        for name, value in self.tuned.items():
            self.average[name].lerp_(value.detach(), 1 - decay)
        return [loss.item() for loss in losses]

    def averaged(self):
        """The tower with the averaged weights."""
        tower = TunedTower(folded_weights()).eval().to(memory_format=torch.channels_last)
        with torch.no_grad():
            for name, value in self.average.items():
                tower.weights[name].copy_(value)
        return tower

    @torch.inference_mode()
    def measure(self):
        """Of the averaged tower on dev: retrieval by the training's own heads, and how far the head's classes are kept."""
        tower, found = self.averaged(), {}
        self.heads.eval()
        for source in ("flickr8k", "msrvtt"):
            chosen = [sight for sight in self.sights["dev"] if sight.source == source]
            vectors, kept, sure = [], 0, 0
            for start in range(0, len(chosen), 64):
                pairs = [(row, 0) for sight in chosen[start:start + 64] for row in sight.rows]
                owner = torch.tensor([at for at, sight in enumerate(chosen[start:start + 64]) for _ in sight.rows])
                stem, published = self.stems.take(pairs)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    feature_map = tower.rest(stem)
                feature_map = feature_map.float()
                images, _ = self.heads(pool_tokens(feature_map))
                vectors.append(torch.zeros(int(owner.max()) + 1, SPACE).index_add_(0, owner, images))
                probable = published.softmax(1).max(1)
                certain = probable.values > 0.5
                sure += int(certain.sum())
                kept += int((tower.logits(feature_map).argmax(1) == probable.indices)[certain].sum())
            texts = [(caption, at) for at, sight in enumerate(chosen) for caption in sight.captions]
            written = torch.cat([self.heads.texts([text for text, _ in texts[start:start + 256]]) for start in range(0, len(texts), 256)])
            scores = written @ F.normalize(torch.cat(vectors), dim=1).T
            own = torch.tensor([at for _, at in texts])
            rank = (scores > scores.gather(1, own[:, None])).sum(1)
            found[source] = {**{f"r{k}": round(100 * (rank < k).float().mean().item(), 1) for k in (1, 5, 10)},
                             "classes_kept": round(kept / max(1, sure), 3), "sure": sure}
        return found

    def save(self):
        save_torch(self.work / "tower-checkpoint.pt", {
            "tuned": {name: value.detach() for name, value in self.tuned.items()}, "average": self.average,
            "heads": self.heads.state_dict(), "optimizer": self.optimizer.state_dict(),
            "random": self.rng.getstate(), "steps": self.steps, "seconds": self.seconds})

    def load(self):
        state = torch.load(self.work / "tower-checkpoint.pt", weights_only=False)
        with torch.no_grad():
            for name, value in self.tuned.items():
                value.copy_(state["tuned"][name])
        self.average = state["average"]
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.setstate(state["random"])
        self.steps, self.seconds = state["steps"], state["seconds"]

    def run(self, minutes):
        budget, saved, last, window = minutes * 60, self.seconds, worked(), []
        while self.seconds < budget:
            window.append(self.step(self.seconds / budget))
            now = worked()
            self.seconds, last = self.seconds + now - last, now
            if self.steps % 20 == 0:
                means = [sum(column) / len(window) for column in zip(*window)]
                log(f"step {self.steps}, {self.seconds:.0f} s: captions {means[0]:.3f}, words {means[1]:.3f}, classes {means[2]:.3f}")
                window = []
            if self.seconds - saved > CHECKPOINT_SECONDS:
                saved = self.seconds
                self.save()
                log(f"dev {self.measure()}")
                last = worked()
        self.save()
        found = self.measure()
        log(f"end: dev {found}")
        write_json(self.work / "tower.json", {"minutes": round(self.seconds / 60, 1), "steps": self.steps, "batch": BATCH,
                                              "sights": len(self.train), "words": len(self.vocabulary.words), "dev": found})
        weights = {name.replace("/", "."): value.detach() for name, value in self.averaged().weights.items()}
        save_torch(self.work / "tower.pt", weights)


def run(data, work, minutes):
    """Tune for `minutes`, or what is left of them after the last checkpoint."""
    if (work / "tower.pt").exists():
        return
    tuning = Tuning(data, work)
    if (work / "tower-checkpoint.pt").exists():
        tuning.load()
    tuning.run(minutes)
