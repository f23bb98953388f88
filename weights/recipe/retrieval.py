"""Step: a text tower and a latent tower that meet in one space, trained contrastively on captions, short phrases and photos.

A text's pooled hidden states (texts.py) and a photo's latent each pass a two-layer network with a linear path beside it, and
become unit vectors; the loss asks of each caption in a batch which photo is its own, of each photo which caption, and of each
phrase which photos show it. The linear paths start from a regularised canonical correlation analysis, whose directions are weighted by powers of their correlations (Gong
et al. 2014): seconds of work, and most of the way.

Writes retrieval.safetensors into the pack, with the manifest's part and the measured figures in its metadata, then pack.json and
the model card anew, and the expected numbers of the runtime's test.
"""

import json
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from batch import Latents, rounding_grid
from card import refresh
from classes import (
    ALIKE,
    CONTEXT,
    DOUBT,
    SURE,
    class_texts,
    directions,
    probabilities,
    readable,
)
from common import CHANNELS, FIXTURE_FOLDER, PACK_FOLDER, log
from data import Frame
from phrases import phrases
from sets import image_table
from texts import LAYERS, TextStates, searched

SEED = 3
MEMBERS, DIM = 1, 256  # networks side by side, and numbers of a vector, all of them together
TEXT_HIDDEN, LATENT_HIDDEN = 512, 512  # of each network
TEXT_RIDGE, LATENT_RIDGE, CORRELATION_POWER = 0.1, 0.03, 2  # of the canonical start
CLASSES = 1000
MEAN_LAYERS, LAST_LAYERS = LAYERS, (20,)
EPOCHS, BATCH = 48, 1000  # photos; each comes with CAPTIONS of its captions
CAPTIONS = 4
PHRASES, THINGS_SHARE = 400, 0.4  # beside them, and how many of these are things by their names
PHRASE_WEIGHT = 0.5  # of their loss
NAMED, NAMED_WEIGHT = 300, 0.2  # texts about classes in a step, and the weight of their loss
RATE, WEIGHT_DECAY, WARMUP = 5e-4, 0.1, 0.1
DROP_INPUT, DROP_HIDDEN = 0.1, 0.4
JITTER = 0.3  # noise on latents in standard deviations of each number: 6,000 photos are soon known by heart
TEMPERATURE = 0.05  # at the start; it is learned
SMOOTHING = 0.05  # of the targets: another photo may well fit a caption
AVERAGE = 0.995  # of the moving average of the weights, which is what is kept
# Shares of the photos not showing what a phrase names that reach what counts as a match, and as a possible one.
PASSING = {"match": 0.03, "possible": 0.1}


class Tower(nn.Module):
    """(N, inputs) -> unit vectors (members, N, dim / members)."""

    def __init__(self, inputs, hidden, mean, scale):
        super().__init__()
        own = DIM // MEMBERS
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.fc1 = nn.Parameter(torch.randn(MEMBERS, inputs, hidden) / inputs**0.5)
        self.fc1_bias = nn.Parameter(torch.zeros(MEMBERS, 1, hidden))
        self.fc2 = nn.Parameter(torch.zeros(MEMBERS, hidden, own))  # what is bent is learned on top of the linear path
        self.fc2_bias = nn.Parameter(torch.zeros(MEMBERS, 1, own))
        self.skip = nn.Parameter(torch.zeros(MEMBERS, inputs, own))

    def forward(self, x):
        x = ((x - self.mean) * self.scale).expand(MEMBERS, *x.shape)
        x = F.dropout(x, DROP_INPUT, self.training)
        hidden = F.dropout(F.gelu(x @ self.fc1 + self.fc1_bias), DROP_HIDDEN, self.training)
        return F.normalize(hidden @ self.fc2 + self.fc2_bias + x @ self.skip, dim=-1)

    def tensors(self, name):
        """As the pack holds them, float16."""
        parts = {"mean": self.mean, "scale": self.scale, "fc1.weight": self.fc1, "fc1.bias": self.fc1_bias,
                 "fc2.weight": self.fc2, "fc2.bias": self.fc2_bias, "skip.weight": self.skip}
        return {f"{name}.{part}": value.detach().half().contiguous() for part, value in parts.items()}

    def rounded(self):
        """The same tower with the weights that tensors() stores."""
        with torch.no_grad():
            for value in [*self.parameters(), *self.buffers()]:
                value.copy_(value.half())
        return self.eval()


def text_inputs(states):
    """(N, 7, 576) of texts.py -> (N, inputs) float32 tensor of the layers in use."""
    means, lasts = (0, *LAYERS), LAYERS
    picked = [means.index(layer) for layer in MEAN_LAYERS] + [len(means) + lasts.index(layer) for layer in LAST_LAYERS]
    return torch.from_numpy(states[:, picked].astype(np.float32)).flatten(1)


def text_tower(inputs):
    return Tower(inputs.shape[1], TEXT_HIDDEN, inputs.mean(0), 1 / (inputs.std(0) + 1e-3))


def latent_tower(latents):
    """latents: (N, D)."""
    sigma = latents.std(0)
    # Small components carry mostly rounding noise: the floor keeps them from being blown up.
    return Tower(len(sigma), LATENT_HIDDEN, torch.zeros(len(sigma)), 1 / sigma.clamp(min=0.1 * float(sigma.max())))


@torch.no_grad()
def start(text, latent, texts, owner, latents):
    """Sets the linear paths of both towers: canonical directions of captions (N, inputs) and the plain latents (n, 256) of what they are of, owner (N)."""
    x = (texts - text.mean) * text.scale
    y = (latents * latent.scale)[owner]
    x, y = x - x.mean(0), y - y.mean(0)

    def whitening(values, ridge):
        covariance = values.T @ values / len(values)
        return torch.linalg.cholesky(covariance + ridge * covariance.diagonal().mean() * torch.eye(len(covariance)))

    left, right = whitening(x, TEXT_RIDGE), whitening(y, LATENT_RIDGE)
    cross = torch.linalg.solve_triangular(left, x.T @ y / len(x), upper=False)
    cross = torch.linalg.solve_triangular(right, cross.T, upper=False).T
    u, correlations, v = torch.linalg.svd(cross, full_matrices=False)
    weights = correlations[:DIM] ** CORRELATION_POWER
    for tower, factor, axes in ((text, left, u), (latent, right, v.T)):
        skip = torch.linalg.solve_triangular(factor.T, axes[:, :DIM], upper=True) * weights
        # Directions are dealt out to the members in turn, so that each has strong ones.
        tower.skip.copy_(skip.unflatten(1, (DIM // MEMBERS, MEMBERS)).permute(2, 0, 1))


def similarities(texts, photos):
    """Mean cosines of the members, (texts, photos)."""
    return torch.einsum("mtd,mpd->tp", texts, photos) / MEMBERS


def ranks(scores, owner):
    """Rank of its own sight for each text and of the best own text for each sight, from 0. scores (N, n), owner (N): the texts' sights."""
    forward = (scores > scores.gather(1, owner[:, None])).sum(1)
    mine = F.one_hot(owner, scores.shape[1]).bool()
    best = scores.masked_fill(~mine, -2).max(0).values
    backward = (scores.masked_fill(mine, -2) > best).sum(0)
    return forward, backward


def recalls(scores, owner):
    """{"text_to_photo": {"r1", "r5", "r10"}, "photo_to_text": ...} in per cent."""
    return {name: {f"r{k}": round(100 * (rank < k).float().mean().item(), 1) for k in (1, 5, 10)}
            for name, rank in zip(("text_to_photo", "photo_to_text"), ranks(scores, owner))}


def loss_of(texts, photos, scale):
    """Cross entropy both ways, mean of the members. texts (M, B * CAPTIONS, d), photos (M, B, d), scale (M)."""
    members, photos_count = photos.shape[:2]
    scores = torch.einsum("mtd,mpd->mtp", texts, photos) * scale[:, None, None]
    own = torch.arange(photos_count)
    forward = F.cross_entropy(scores.flatten(0, 1), own.repeat_interleave(CAPTIONS).repeat(members), label_smoothing=SMOOTHING)
    # A photo chooses among one caption of each photo, so that it never has to choose between its own.
    columns = scores.unflatten(1, (photos_count, CAPTIONS)).permute(0, 2, 3, 1).flatten(0, 2)
    backward = F.cross_entropy(columns, own.repeat(members * CAPTIONS), label_smoothing=SMOOTHING)
    return (forward + backward) / 2


@dataclass
class Phrases:
    """The phrases of a split."""
    texts: torch.Tensor  # (P, inputs)
    shown: torch.Tensor  # (P, N) bool: whether a photo shows it
    unsure: torch.Tensor  # (P, N) bool: photos of which that is not known
    things: int  # so many of them, the first, are things by their names

    @staticmethod
    def of(groups, states):
        """groups: the captions of each photo; states: of texts.py."""
        made = phrases(groups)
        shown, unsure = (torch.from_numpy(np.stack([getattr(phrase, name) for phrase in made])) for name in ("shown", "unsure"))
        return Phrases(text_inputs(states), shown, unsure, sum(phrase.thing for phrase in made))

    def some(self, generator):
        """PHRASES of them: every thing equally often, the others by the root of how many photos show them."""
        things = torch.randint(self.things, (int(PHRASES * THINGS_SHARE),), generator=generator)
        often = self.shown[self.things:].sum(1).sqrt()
        return torch.cat([things, self.things + torch.multinomial(often, PHRASES - len(things), True, generator=generator)])

    def loss(self, text, vectors, photos, scale, generator):
        """Cross entropy of phrases with the photos that show them. vectors (M, B, d): those of the `photos`; scale (M)."""
        picked = self.some(generator)
        shown, unsure = (mask[picked][:, photos] for mask in (self.shown, self.unsure))
        return matching_loss(text(self.texts[picked]), vectors, shown, unsure, scale)

    def areas(self, scores):
        """{"things", "phrases"}: mean area under the curve of each phrase's scores (P, N), over those that 3 photos show."""
        found = areas(scores, self.shown, self.unsure)
        return {"things": mean_area(found[:self.things]), "phrases": mean_area(found[self.things:])}


def matching_loss(texts, photos, shown, unsure, scale):
    """Cross entropy of texts (M, P, d) with the photos (M, B, d) that show them; shown, unsure: (P, B) bool, scale (M). Texts that none shows are left out."""
    there = shown.any(1)
    texts, shown, unsure = texts[:, there], shown[there], unsure[there]
    scores = torch.einsum("mtd,mpd->mtp", texts, photos) * scale[:, None, None]
    guesses = scores.masked_fill(unsure, -1e4).log_softmax(-1)
    return -(guesses * (shown / shown.sum(1, keepdim=True))).sum(-1).mean()


def areas(scores, shown, unsure):
    """Area under the curve of each text's scores, all (P, N); NaN where fewer than 3 photos show it. -> (P)"""
    found = []
    for row, has, doubt in zip(scores, shown, unsure):
        known, have = ~doubt, int(has.sum())
        places = row[known].argsort().argsort()[has[known]].sum() - have * (have - 1) / 2
        found.append(float(places / (have * (int(known.sum()) - have))) if have >= 3 else float("nan"))
    return torch.tensor(found)


def mean_area(found):
    return round(float(found.nanmean()), 3)


@dataclass
class Named:
    """What is said of the classes of the vision tower's head, beside photos whose classes the head tells."""
    texts: torch.Tensor  # (P, inputs)
    about: torch.Tensor  # (P, 1000) bool
    chances: torch.Tensor  # (N, 1000) float16: the head's probabilities of the photos
    directions: torch.Tensor  # (1000, 256) from the mean latent
    mean: torch.Tensor  # (256) latent

    @staticmethod
    def of(states, features, latents, found=None):
        """states: of texts.py; features (N, >= 1280), latents (N, D): of plain photos; found: directions, where not theirs."""
        said = class_texts()
        about = torch.zeros(len(said), CLASSES, dtype=torch.bool)
        for row, entry in zip(about, said):
            row[list(entry.classes)] = True
        mean = latents.mean(0)
        return Named(text_inputs(states), about, probabilities(features).half(), directions(features, latents) if found is None else found, mean)

    def shown(self, texts, photos):
        """Whether photos show, and whether they may show, what the texts are about, by the head: two of (texts, photos) bool."""
        chances = self.about[texts].float() @ self.chances[photos].float().T
        return chances > SURE, (chances > DOUBT) & (chances <= SURE)

    def loss(self, towers, z, vectors, photos, scale, generator):
        """As Phrases.loss, with a stand-in for a photo of each text beside the photos. z (B, 256): their latents with noise."""
        texts = torch.randint(len(self.texts), (NAMED,), generator=generator)
        classes = torch.multinomial(self.about[texts].float(), 1, generator=generator)[:, 0]
        others = torch.randint(len(z), (NAMED,), generator=generator)
        standing = self.mean + self.directions[classes] + CONTEXT * (z[others] - self.mean)
        unit = F.normalize(self.directions[classes], dim=1)
        shown = self.about[texts][:, classes]
        unsure = (unit @ unit.T > ALIKE) & ~shown
        seen, doubted = self.shown(texts, photos)
        photos_too = torch.cat([towers[1](standing), vectors], 1)
        return matching_loss(towers[0](self.texts[texts]), photos_too, torch.cat([shown, seen], 1), torch.cat([unsure, doubted], 1), scale)

    def area(self, scores):
        """Mean area under the curve of the texts' scores (P, N), by what the head sees in the photos."""
        everything = torch.arange(len(self.texts)), torch.arange(len(self.chances))
        return mean_area(areas(scores, *self.shown(*everything)))


def train(learned):
    """Both towers of what is Learned."""
    shown, dev = learned.shown, learned.dev.figures
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    sights, views = len(shown.rows), shown.latents.values.shape[1]
    plain = shown.mean(shown.latents.values[:, 0])
    towers = [text_tower(learned.texts), latent_tower(plain)]
    start(*towers, learned.texts, learned.owner, plain)
    log(f"canonical directions alone; dev {dev(*towers)}")
    scale, phrase_scale, named_scale = (nn.Parameter(torch.full((MEMBERS,), math.log(1 / TEMPERATURE))) for _ in range(3))
    parameters = [parameter for tower in towers for parameter in tower.parameters()]
    optimizer = torch.optim.AdamW([{"params": parameters, "weight_decay": WEIGHT_DECAY}, {"params": [scale, phrase_scale, named_scale], "weight_decay": 0.0}],
                                  betas=(0.9, 0.98))
    average = [parameter.detach().clone() for parameter in parameters]
    counts = learned.owner.bincount(minlength=sights)
    first = counts.cumsum(0) - counts  # the place of each sight's first text
    steps, step = EPOCHS * (sights // BATCH), 0
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(sights, generator=generator).split(BATCH)[:sights // BATCH]:
            picked = first[chosen][:, None] + (torch.rand(BATCH, CAPTIONS, generator=generator) * counts[chosen][:, None]).long()
            view = torch.randint(views, (BATCH,), generator=generator).tolist()
            z = shown.latents.noisy([Frame(row, at, JITTER) for row, at in zip(shown.some_rows(chosen, generator), view)], generator)
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, step / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
            vectors = towers[1](z)
            loss = loss_of(towers[0](learned.texts[picked.flatten()]), vectors, scale.exp().clamp(max=100))
            loss = loss + PHRASE_WEIGHT * learned.phrased.loss(towers[0], vectors, chosen, phrase_scale.exp().clamp(max=100), generator)
            loss = loss + NAMED_WEIGHT * learned.named.loss(towers, z, vectors, chosen, named_scale.exp().clamp(max=100), generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for kept, parameter in zip(average, parameters):
                    kept.lerp_(parameter, 1 - min(AVERAGE, (1 + step) / (10 + step)))
        if epoch % 8 == 7:
            log(f"epoch {epoch + 1}: loss {loss.item():.3f}, temperature {float((-scale.detach()).exp().mean()):.4f}; dev {dev(*towers)}")
    with torch.no_grad():
        for kept, parameter in zip(average, parameters):
            parameter.copy_(kept)
    return [tower.rounded() for tower in towers]


FIXTURE_TEXTS = [
    "A dog runs through the grass.", "two people ride their bikes along a street", "A man in a suit", "pouring coffee",
    "Children playing in the snow!", "a brown and white dog is catching a frisbee in the air over a green lawn next to a white fence .",
]


@torch.no_grad()
def write_fixture(text, latent):
    """test/fixtures/retrieval/vectors.json: vectors of texts from the reference implementation in float32, and of the photo's latent."""
    states = TextStates().states(FIXTURE_TEXTS)
    photo = json.loads((FIXTURE_FOLDER / "vision" / "tokens.json").read_text())["latent"]

    def numbers(vectors):  # (members, N, d) -> N lists of unit vectors
        return [[round(value, 5) for value in row] for row in (vectors.transpose(0, 1).flatten(1) / MEMBERS**0.5).tolist()]

    lines = {"made_by": "weights/recipe/retrieval.py", "texts": [{"text": line, "vector": vector} for line, vector in zip(FIXTURE_TEXTS, numbers(text(text_inputs(states))))],
             "photo": {"latent": photo, "vector": numbers(latent(torch.tensor([photo])))[0]}}
    path = FIXTURE_FOLDER / "retrieval" / "vectors.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in lines.items()) + "\n}\n", encoding="utf-8")


def background_of(vectors):
    """mean (dim) and factor (dim, dim) of photos' vectors (N, dim): a text's cosines with photos have the mean t . mean and the deviation |t factor|."""
    mean = vectors.mean(0)
    centred = vectors - mean
    covariance = centred.T @ centred / len(vectors)
    return mean.half().float(), torch.linalg.cholesky(covariance + 1e-6 * torch.eye(len(mean))).half().float()


@dataclass
class Shown:
    """The images of a split's sights, and their latents."""
    latents: Latents  # of all images
    rows: list  # of each sight, the numbers of its images

    @staticmethod
    def of(latents, sights):
        return Shown(latents, [list(sight.rows) for sight in sights])

    def some_rows(self, chosen, generator):
        """A random image of each of the sights `chosen` (B)."""
        shares = torch.rand(len(chosen), generator=generator).tolist()
        return [self.rows[sight][int(share * len(self.rows[sight]))] for sight, share in zip(chosen.tolist(), shares)]

    def mean(self, values):
        """(images, ...) of all images -> (sights, ...), the mean over each sight's images."""
        return torch.stack([values[rows].mean(0) for rows in self.rows])

    def plain(self):
        """(sights, D): mean latents, not rounded."""
        return self.mean(self.latents.values[:, 0])


class Dev:
    """The dev photos and clips, what is said of them, and the figures of towers on them."""

    def __init__(self, captions, owner, phrased, named, shown, sources):
        """captions (N, inputs) and the sights they are of, owner (N); phrased: their Phrases; named: Named of the sights;
        shown: their Shown; sources: of each sight, its data set.
        """
        self.captions, self.owner, self.phrased, self.named, self.shown = captions, owner, phrased, named, shown
        self.sources = {source: torch.tensor([at for at, other in enumerate(sources) if other == source]) for source in dict.fromkeys(sources)}
        every = [row for rows in shown.rows for row in rows]
        self.rounded = shown.latents.rounded([Frame(row, 0) for row in every])
        self.frames = torch.tensor([at for at, rows in enumerate(shown.rows) for _ in rows])

    @torch.no_grad()
    def scores(self, text, latent):
        """Mean cosines of captions (N, n), of phrases (P, n) and of texts about classes with the images of each of n sights."""
        modes = [tower.training for tower in (text, latent)]
        frames = latent.eval()(self.rounded)
        counts = self.frames.bincount(minlength=len(self.shown.rows))
        sights = torch.zeros(len(frames), len(counts), frames.shape[-1]).index_add_(1, self.frames, frames) / counts[:, None]
        found = [similarities(text.eval()(texts), sights) for texts in (self.captions, self.phrased.texts, self.named.texts)]
        for tower, mode in zip((text, latent), modes):
            tower.train(mode)
        return found

    def figures(self, text, latent):
        """{data set: {"sights", "text_to_photo", "photo_to_text"}, "areas"}."""
        captions, phrases, named = self.scores(text, latent)
        found = {}
        for source, sights in self.sources.items():
            own = torch.isin(self.owner, sights)
            among = torch.searchsorted(sights, self.owner[own])
            found[source] = {"sights": len(sights), **recalls(captions[own][:, sights], among)}
        return {**found, "areas": {**self.phrased.areas(phrases), "classes": self.named.area(named)}}

    @torch.no_grad()
    def thresholds(self, text, latent, mean, factor):
        """How many deviations above a text's mean cosine a photo counts as what the text tells of, by the names of PASSING, and the
        shares of photos that do.
        """
        def deviations(texts, cosines):
            words = text(texts).transpose(0, 1).flatten(1) / MEMBERS**0.5
            return (cosines - (words @ mean)[:, None]) / (words @ factor).norm(dim=1, keepdim=True)

        captions, named = (deviations(texts, cosines) for texts, cosines in zip((self.captions, self.phrased.texts), self.scores(text, latent)))
        shown, others = self.phrased.shown, named[~self.phrased.shown & ~self.phrased.unsure].sort().values
        own = captions.gather(1, self.owner[:, None])
        thresholds, shares = {}, {}
        for name, passing in PASSING.items():
            threshold = thresholds[name] = round(float(others[int((1 - passing) * len(others))]), 3)
            there = shown.any(1)
            reached = ((named >= threshold) & shown).sum(1)[there] / shown.sum(1)[there]
            shares[name] = {"phrase of the photo": round(float(reached.mean()), 3), "phrase of others": passing,
                            "caption of the photo": round(float((own >= threshold).float().mean()), 3),
                            "caption of another": round(float((captions >= threshold).float().mean()), 3)}
        return thresholds, shares


@torch.no_grad()
def export(text, latent, latents, dev, trained_on, class_scores):
    """The towers into the pack, with their figures on dev photos; the test's fixture.

    latents (N, 256): photos that stand for all there are, when it is judged whether something is like a text's words at all.
    trained_on: what the towers have learned from, in words, for the model card; class_scores: of classes.readable().
    """
    mean, factor = background_of(latent(latents).transpose(0, 1).flatten(1) / MEMBERS**0.5)
    thresholds, shares = dev.thresholds(text, latent, mean, factor)
    measured = {**dev.figures(text, latent), "trained_on": trained_on, "reached": shares, "class_scores": class_scores}
    log(f"retrieval on dev photos: {measured}")
    config = {
        "dim": DIM, "members": MEMBERS, "text": {"mean": list(MEAN_LAYERS), "last": list(LAST_LAYERS), "hidden": TEXT_HIDDEN},
        "latent": {"hidden": LATENT_HIDDEN}, **thresholds,
    }
    path = PACK_FOLDER / "retrieval.safetensors"
    background = {"background.mean": mean.half(), "background.factor": factor.half().contiguous()}
    save_file({**text.tensors("text"), **latent.tensors("latent"), **background}, path,
              metadata={"config": json.dumps(config), "measured": json.dumps(measured)})
    path.chmod(0o644)
    refresh()
    write_fixture(text, latent)


@dataclass
class Learned:
    """What towers learn from, and are judged by, for latents of any kind."""
    texts: torch.Tensor  # (N, inputs) captions, those of one sight side by side
    owner: torch.Tensor  # (N) the sight of each
    phrased: Phrases
    named: Named
    shown: Shown
    dev: Dev

    @staticmethod
    def of(data, work, values):
        """values: (images, views, D) float32 latents, plain images first. Needs the results of the steps features and texts."""
        _, found = image_table(data)
        features = np.load(work / "features.npy", mmap_mode="r")[:, 0, :CHANNELS]
        latents = Latents(values, rounding_grid(values[found["train"][0].rows.start:]))
        said, made = np.load(work / "texts-classes.npy"), {}
        for split in ("train", "dev"):
            sights, groups = searched(found, split)
            shown = Shown.of(latents, sights)
            owner = torch.tensor([at for at, group in enumerate(groups) for _ in group])
            seen = torch.from_numpy(np.stack([np.asarray(features[rows], np.float32).mean(0) for rows in shown.rows]))
            towards = made["train"][3].directions if split == "dev" else None
            named = Named.of(said, seen.numpy(), shown.plain(), towards)
            made[split] = (text_inputs(np.load(work / f"texts-{split}.npy")), owner,
                           Phrases.of(groups, np.load(work / f"phrases-{split}.npy")), named, shown, [sight.source for sight in sights])
        return Learned(*made["train"][:5], Dev(*made["dev"]))


def run(data, work):
    """Train, export and measure. Needs the results of the steps features, latents and texts."""
    learned = Learned.of(data, work, np.load(work / "latents.npy"))
    text, latent = train(learned)
    views = learned.shown.latents.values.shape[1]
    _, found = image_table(data)
    splits = {name: Shown.of(learned.shown.latents, searched(found, name)[0]) for name in ("train", "dev")}
    features = np.load(work / "features.npy", mmap_mode="r")
    images = {name: [row for rows in shown.rows for row in rows] for name, shown in splits.items()}
    export(text, latent, learned.shown.latents.values[images["train"], 0], learned.dev,
           f"{len(learned.texts):,} captions and {len(learned.phrased.texts):,} short phrases of {len(learned.shown.rows):,} photos and clips, each image in {views} views, "
           f"and {len(learned.named.texts):,} names and definitions of the 1,000 classes of the vision tower's head, with latents that stand for photos of them (`recipe/classes.py`)",
           readable({name: features[rows, 0, :CHANNELS] for name, rows in images.items()}, {name: learned.shown.latents.values[rows, 0] for name, rows in images.items()}))
