"""Examples to batches of token trees."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from common import PACK_FOLDER, TOKENS
from data import Frame, after_answer, after_visual, unshown
from pack import PROMPT

IM_END = 2
ROOT_TEXT = f"<|im_start|>system\n{PROMPT['system']}<|im_end|>\n<|im_start|>user\n"


@dataclass
class Written:
    """An answer as tokens, the end token included where it was written, and its weight in the loss."""
    ids: list
    weight: float


@dataclass
class Row:
    """One example as tokens: ids (-1 for visual), parent of each token (-1: the root), depth below the root, frames in order,
    and (position, target id) -> weight of the loss."""
    ids: list
    parents: list
    depths: list
    frames: list
    losses: dict


class Trees:
    """Makes rows of examples and batches of rows."""

    def __init__(self):
        self.tokenizer = Tokenizer.from_file(str(PACK_FOLDER / "tokenizer.json"))
        self.cache = {}
        self.root = self.encode(ROOT_TEXT)

    def encode(self, text):
        if text not in self.cache:
            self.cache[text] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.cache[text]

    def text(self, ids):
        """What tokens of an answer say, without those that end it."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def written(self, answer):
        return answer if isinstance(answer, Written) else Written([*self.encode(answer), IM_END], 1.0)

    def row(self, example):
        row, children = Row([], [], [], [], {}), {}

        def extend(parent, ids):
            for token in ids:
                # Answers that begin alike share their first tokens; visual tokens are all different.
                known = children.get((parent, token)) if token >= 0 else None
                if known is None:
                    row.ids.append(token)
                    row.parents.append(parent)
                    row.depths.append(row.depths[parent] + 1 if parent >= 0 else 0)
                    known = len(row.ids) - 1
                    children[parent, token] = known
                parent = known
            return parent

        def learn(at, answer):
            """The answer after the token `at`; returns the place of its last token but the end."""
            for index, target in enumerate(answer.ids):
                row.losses[at, target] = row.losses.get((at, target), 0.0) + answer.weight
                if index + 1 < len(answer.ids):
                    at = extend(at, [target])
            return at

        context = -1
        for piece in example.pieces:
            if isinstance(piece, Frame):
                row.frames.append(piece)
                context = extend(context, [-1] * TOKENS)
            else:
                context = extend(context, self.encode(piece))
        first = after_visual if row.frames else unshown
        for question, answers in example.branches:
            asked = extend(context, self.encode(first(question)))
            for answer in answers:
                learn(asked, self.written(answer))
        for turns in example.dialogues:
            at, text = context, first
            for question, answer in turns:
                at = extend(learn(extend(at, self.encode(text(question))), self.written(answer)), [IM_END])
                text = after_answer
        return row

    def batch(self, rows, device="cpu"):
        """Tensors of a batch: see Batch."""
        root, length = len(self.root), max(len(row.ids) for row in rows)
        ids = np.zeros((len(rows), length), np.int64)
        depths = np.zeros((len(rows), length), np.int64)
        visible = np.zeros((len(rows), length, root + length), bool)
        visible[:, :, :root] = True
        visual, losses, frames = [], [], []
        for b, row in enumerate(rows):
            n = len(row.ids)
            tokens = np.array(row.ids)
            ids[b, :n] = tokens.clip(min=0)
            depths[b, :n] = row.depths
            for t, parent in enumerate(row.parents):
                if parent >= 0:
                    visible[b, t] = visible[b, parent]
                visible[b, t, root + t] = True
            offset = root + b * length
            visual.append((tokens < 0).nonzero()[0] + offset)
            losses += sorted((offset + at, target, weight) for (at, target), weight in row.losses.items() if weight != 0)
            frames += row.frames
        at, targets, weights = zip(*losses)
        loss_at, term_rows = np.unique(at, return_inverse=True)
        mask = np.where(visible, np.float32(0), np.float32("-inf"))[:, None]

        def put(array):
            return torch.as_tensor(array).to(device)

        return Batch(
            ids=put(np.concatenate([self.root, ids.ravel()])),
            positions=put(np.concatenate([np.arange(root), root + depths.ravel()])),
            mask=put(mask), root=root, shape=(len(rows), length), visual=put(np.concatenate(visual)), frames=frames,
            loss_at=put(loss_at), term_rows=put(term_rows), targets=put(targets), weights=put(np.array(weights, np.float32)))


@dataclass
class Batch:
    ids: torch.Tensor  # (root + B * L)
    positions: torch.Tensor  # (root + B * L)
    mask: torch.Tensor  # (B, 1, L, root + L) additive, float32
    root: int
    shape: tuple  # (B, L)
    visual: torch.Tensor  # rows of the flat tokens that are visual, 5 a frame
    frames: list
    loss_at: torch.Tensor  # (N) flat rows whose next token is scored, ascending
    term_rows: torch.Tensor  # (M) places in loss_at, ascending: several next tokens may be scored after one
    targets: torch.Tensor  # (M)
    weights: torch.Tensor  # (M) float32


class Latents:
    """Latents of all images with the noise that stands for their 4-bit rounding."""

    def __init__(self, values, grid, device="cpu"):
        """values (images, views, 256); grid: (low (256), step (256)) of the training images' 4-bit rounding."""
        self.device = device
        self.values = torch.from_numpy(values).to(device)
        self.low, self.step = (part.to(device) for part in grid)

    def plain(self, frames):
        images, views = ([getattr(frame, name) for frame in frames] for name in ("image", "view"))
        return self.values[images, views]

    def noisy(self, frames, generator):
        z = self.plain(frames)
        jitter = torch.tensor([frame.jitter for frame in frames], device=self.device)[:, None]
        spread = self.step * 15 / 6  # about one standard deviation: the grid spans six
        z = z + jitter * spread * torch.randn(z.shape, generator=generator, device=self.device)
        return z + (torch.rand(z.shape, generator=generator, device=self.device) - 0.5) * self.step

    def rounded(self, frames):
        """The latents as a container holds them: rounded to the grid's 16 levels."""
        z = self.plain(frames)
        return ((z - self.low) / self.step).round().clamp(0, 15) * self.step + self.low


def rounding_grid(train):
    """Per latent number, the lowest value and the step of 16 levels between minimum and maximum."""
    flat = torch.from_numpy(train).flatten(0, -2)
    low, high = flat.min(0).values, flat.max(0).values
    return low, (high - low) / 15
