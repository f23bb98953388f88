"""Step: what the unchanged language model makes of each caption and of short phrases, for the retrieval towers.

Hidden states after layers 8, 14 and 20 (and the embeddings, layer 0), averaged over a text's tokens, and those of its last
token, from the reference implementation in float32. The adapter is left out, so that training it anew never moves a text.

Writes texts-train.npy and texts-dev.npy, (captions, 7, 576) float16: the means of layers 0, 8, 14, 20, then the last token's
8, 14, 20; captions as searched() lists them. And phrases-train.npy and phrases-dev.npy, of the phrases of phrases.py in their
order, and texts-classes.npy, of what classes.py says of the vision tower's classes.
"""

import re

import numpy as np
import torch
from tokenizers import Tokenizer

from classes import class_texts
from common import HIDDEN, PACK_FOLDER, log, save_array
from phrases import phrases
from sets import image_table

BOS = 1  # <|im_start|>: a first token takes most attention and is left out of the means
LAYERS = (8, 14, 20)  # counted from 1; the deeper ten are about the next word
BATCH_TOKENS = 2048


def query_text(text):
    """The form in which every text is read, whether a caption or what a user types: lower case, no punctuation at the end, then a full stop."""
    return re.sub(r"[\s.!?,;:]+$", "", re.sub(r"\s+", " ", text.strip().lower())) + "."


class TextStates:
    """The first 20 layers of the unchanged language model."""

    def __init__(self):
        from reference import (
            reference_model,  # half a minute of imports that only this needs
        )

        self.tokenizer = Tokenizer.from_file(str(PACK_FOLDER / "tokenizer.json"))
        self.model = reference_model().model
        self.model.layers = self.model.layers[:LAYERS[-1]]
        self.model.norm = torch.nn.Identity()  # belongs behind layer 30

    def ids(self, text):
        return [BOS, *self.tokenizer.encode(query_text(text), add_special_tokens=False).ids]

    @torch.inference_mode()
    def states(self, texts):
        """[str] -> (texts, 7, 576) float32 array."""
        ids = [self.ids(text) for text in texts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        pooled = np.zeros((len(ids), 1 + 2 * len(LAYERS), HIDDEN), np.float32)
        start = 0
        while start < len(order):
            count = max(1, BATCH_TOKENS // len(ids[order[min(len(order) - 1, start + 64)]]))
            rows = order[start:start + count]
            longest = max(len(ids[row]) for row in rows)
            tokens = torch.zeros(len(rows), longest, dtype=torch.long)
            mask = torch.zeros(len(rows), longest, dtype=torch.long)
            for at, row in enumerate(rows):
                tokens[at, :len(ids[row])], mask[at, :len(ids[row])] = torch.tensor(ids[row]), 1
            hidden = self.model(input_ids=tokens, attention_mask=mask, output_hidden_states=True).hidden_states
            inner = mask.clone()
            inner[:, 0] = 0
            last = mask.sum(1) - 1
            weights = (inner / inner.sum(1, keepdim=True)).unsqueeze(1).float()
            means = [(weights @ hidden[layer])[:, 0] for layer in (0, *LAYERS)]
            lasts = [hidden[layer][torch.arange(len(rows)), last] for layer in LAYERS]
            pooled[rows] = torch.stack([*means, *lasts], 1).numpy()
            start += count
        return pooled


CHUNK = 2500  # texts between two savings
LEARNED_CAPTIONS = 6  # of a training clip, the ones that the others agree with most


def searched(found, split):
    """The sights of a split that have captions, and the captions of each that search learns from or is judged by.

    found: {split: [Sight]}.
    """
    captioned = [sight for sight in found[split] if sight.captions]
    most = LEARNED_CAPTIONS if split == "train" else None
    return captioned, [sight.captions[:most] for sight in captioned]


def texts_of(data, split):
    """{file name: its texts}."""
    if split == "classes":
        return {"texts-classes": [said.text for said in class_texts()]}
    _, groups = searched(image_table(data)[1], split)
    return {f"texts-{split}": [text for group in groups for text in group], f"phrases-{split}": [phrase.text for phrase in phrases(groups)]}


def run(data, work):
    """Write the states of both splits, the dev photos' first, and of what is said of classes."""
    states = None
    for split in ("dev", "train", "classes"):
        for name, texts in texts_of(data, split).items():
            target = work / f"{name}.npy"
            if target.exists():
                continue
            states = states or TextStates()
            parts = []
            for start in range(0, len(texts), CHUNK):
                part = work / f"{name}-{start}.npy"
                if not part.exists():
                    save_array(part, states.states(texts[start:start + CHUNK]).astype(np.float16))
                    log(f"states of {name}: {min(start + CHUNK, len(texts))} of {len(texts)}")
                parts.append(part)
            save_array(target, np.concatenate([np.load(part) for part in parts]))
            for part in parts:
                part.unlink()
