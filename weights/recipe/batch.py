"""Examples to batches of token trees."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from common import LATENT_DIM, PACK_FOLDER, TOKENS
from data import Frame, after_visual
from pack import PROMPT

IM_END = 2
ROOT_TEXT = f"<|im_start|>system\n{PROMPT['system']}<|im_end|>\n<|im_start|>user\n"


@dataclass
class Row:
    """One example as tokens: ids (-1 for visual), parent of each token (-1: the root), depth below the root, frames in order,
    and (position, target id) pairs of the loss."""
    ids: list
    parents: list
    depths: list
    frames: list
    losses: list


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

    def row(self, example):
        row = Row([], [], [], [], [])

        def extend(parent, ids):
            for token in ids:
                row.ids.append(token)
                row.parents.append(parent)
                row.depths.append(row.depths[parent] + 1 if parent >= 0 else 0)
                parent = len(row.ids) - 1
            return parent

        context = -1
        for piece in example.pieces:
            if isinstance(piece, Frame):
                row.frames.append(piece)
                context = extend(context, [-1] * TOKENS)
            else:
                context = extend(context, self.encode(piece))
        for question, answers in example.branches:
            # Without a visual part the user's turn begins with the question itself.
            text = after_visual(question) if row.frames else after_visual(question)[1:]
            asked = extend(context, self.encode(text))
            for answer in answers:
                at = asked
                targets = [*self.encode(answer), IM_END]
                for index, target in enumerate(targets):
                    row.losses.append((at, target))
                    if index + 1 < len(targets):
                        at = extend(at, [target])
        return row

    def batch(self, rows):
        """Tensors of a batch: see Batch."""
        root, length = len(self.root), max(len(row.ids) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        depths = torch.zeros(len(rows), length, dtype=torch.long)
        visible = torch.zeros(len(rows), length, root + length, dtype=torch.bool)
        visible[:, :, :root] = True
        visual, loss_at, targets, frames = [], [], [], []
        for b, row in enumerate(rows):
            n = len(row.ids)
            tokens = torch.tensor(row.ids)
            ids[b, :n] = tokens.clamp(min=0)
            depths[b, :n] = torch.tensor(row.depths)
            for t, parent in enumerate(row.parents):
                if parent >= 0:
                    visible[b, t] = visible[b, parent]
                visible[b, t, root + t] = True
            offset = root + b * length
            visual.append((tokens < 0).nonzero()[:, 0] + offset)
            loss_at += [offset + at for at, _ in row.losses]
            targets += [target for _, target in row.losses]
            frames += row.frames
        mask = torch.zeros(visible.shape, dtype=torch.bfloat16).masked_fill_(~visible, float("-inf")).unsqueeze(1)
        return Batch(
            ids=torch.cat([torch.tensor(self.root), ids.view(-1)]),
            positions=torch.cat([torch.arange(root), root + depths.view(-1)]),
            mask=mask, root=root, shape=(len(rows), length),
            visual=torch.cat(visual), frames=frames,
            loss_at=torch.tensor(loss_at), targets=torch.tensor(targets))


@dataclass
class Batch:
    ids: torch.Tensor  # (root + B * L)
    positions: torch.Tensor  # (root + B * L)
    mask: torch.Tensor  # (B, 1, L, root + L) additive
    root: int
    shape: tuple  # (B, L)
    visual: torch.Tensor  # rows of the flat tokens that are visual, 5 a frame
    frames: list
    loss_at: torch.Tensor  # (M) flat rows whose next token is scored
    targets: torch.Tensor  # (M)


class Latents:
    """Latents of a split with the noise that stands for their 4-bit rounding."""

    def __init__(self, values, grid):
        """values (N, views, 256); grid: (low (256), step (256)) of the training photos' 4-bit rounding."""
        self.values = torch.from_numpy(values)
        self.low, self.step = grid

    def noisy(self, frames, generator):
        z = torch.stack([self.values[frame.photo, frame.view] for frame in frames])
        jitter = torch.tensor([frame.jitter for frame in frames])[:, None]
        spread = self.step * 15 / 6  # about one standard deviation: the grid spans six
        z = z + jitter * spread * torch.randn(z.shape, generator=generator)
        return z + (torch.rand(z.shape, generator=generator) - 0.5) * self.step

    def rounded(self, frames):
        """The latents as a container holds them: rounded to the grid's 16 levels."""
        z = torch.stack([self.values[frame.photo, frame.view] for frame in frames])
        return ((z - self.low) / self.step).round().clamp(0, 15) * self.step + self.low


def rounding_grid(train):
    """Per latent number, the lowest value and the step of 16 levels between minimum and maximum."""
    flat = torch.from_numpy(train).view(-1, LATENT_DIM)
    low, high = flat.min(0).values, flat.max(0).values
    return low, (high - low) / 15
