"""Answers of the model under training, many at once: the root and a photo's prefix are computed once, keys and values kept.

The adapter is added into the weights for as long as it stays the same, so a token costs no more than in the plain model.
"""

import torch
import torch.nn.functional as F

from batch import IM_END
from language import HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, rms_norm, rotate, swiglu

GROUP = HEADS // KV_HEADS
COMPACT_BELOW = 0.75  # share of unfinished rows below which the finished ones are dropped from the caches


class Sampler:
    """Greedy and sampled answers."""

    def __init__(self, language, root):
        """language: a Language; root: token ids of the text that every prompt begins with."""
        self.language, self.root = language, root

    @torch.no_grad()
    def take(self, adapter):
        """Adds the adapter (as Adapter.cast() gives it) to the weights and computes the root's keys and values."""
        base = self.language.weights
        self.weights = {key: torch.addmm(base[key], b.T, a.T) for key, (a, b) in adapter.items()}
        x = self.language.embedding[torch.tensor(self.root, device=self.language.device)][None]
        self.root_cache = self.cache(1, len(self.root))
        self.forward(x, self.root_cache, 0, torch.zeros(1, dtype=torch.long, device=x.device))

    def cache(self, rows, capacity):
        """(LAYERS, keys and values, rows, KV_HEADS, capacity, HEAD_DIM)"""
        return torch.zeros(LAYERS, 2, rows, KV_HEADS, capacity, HEAD_DIM, dtype=self.language.dtype, device=self.language.device)

    def forward(self, x, cache, start, padding):
        """Hidden states (R, 576) after the last of x (R, L, 576), which follows `start` tokens of the cache.

        padding (R): so many tokens right after the root are none; nobody sees them and positions do not count them.
        """
        rows, length = x.shape[:2]
        end, scale, root = start + length, HEAD_DIM**-0.5, len(self.root)
        places = (torch.arange(start, end, device=x.device) - padding[:, None]).clamp(min=0).flatten()
        cos, sin = (table[places].to(x.dtype) for table in (self.language.cos, self.language.sin))
        columns = torch.arange(end, device=x.device)
        hidden = (columns > torch.arange(start, end, device=x.device)[:, None])[None] | ((columns >= root) & (columns < root + padding[:, None]))[:, None]
        # A padding token sees itself, so that its own softmax has something to sum; nobody reads what it becomes.
        hidden &= columns != torch.arange(start, end, device=x.device)[:, None]
        unseen = torch.zeros(rows, 1, length, end, dtype=x.dtype, device=x.device).masked_fill(hidden[:, None], float("-inf")).repeat(1, 1, GROUP, 1)
        x = x.reshape(-1, HIDDEN)
        for i in range(LAYERS):
            attention_norm, mlp_norm = self.language.norms[i]
            heads = (rms_norm(x, attention_norm) @ self.weights[f"{i}_qkv"].T).unflatten(-1, (-1, HEAD_DIM))
            q = rotate(heads[:, :HEADS], cos, sin) * scale
            k, v = rotate(heads[:, HEADS:HEADS + KV_HEADS], cos, sin), heads[:, HEADS + KV_HEADS:]
            q, k, v = (value.view(rows, length, -1, HEAD_DIM).transpose(1, 2) for value in (q, k, v))
            cache[i, 0, :, :, start:end], cache[i, 1, :, :, start:end] = k, v
            scores = q.reshape(rows, KV_HEADS, -1, HEAD_DIM) @ cache[i, 0, :, :, :end].transpose(-1, -2) + unseen
            out = (scores.softmax(-1) @ cache[i, 1, :, :, :end]).view(rows, HEADS, length, HEAD_DIM)
            x = x + out.transpose(1, 2).reshape(-1, HIDDEN) @ self.weights[f"{i}_o"].T
            x = x + swiglu(rms_norm(x, mlp_norm) @ self.weights[f"{i}_gate_up"].T) @ self.weights[f"{i}_down"].T
        return rms_norm(x.view(rows, length, HIDDEN)[:, -1].contiguous(), self.language.norm)

    @torch.no_grad()
    def answers(self, prompts, count=1, longest=30, generator=None, temperature=1.0):
        """`count` answers to each of the prompts, [(L, 576)], which follow the root: P * count lists of token ids.

        Sampled at the temperature with a generator, else the likeliest token each time. The end token is part of an answer
        that has reached it within `longest` tokens.
        """
        root, length = len(self.root), max(map(len, prompts))
        padding = torch.tensor([length - len(prompt) for prompt in prompts], device=prompts[0].device)
        padded = torch.stack([F.pad(prompt, (0, 0, length - len(prompt), 0)) for prompt in prompts])
        cache = self.cache(len(prompts), root + length + longest)
        cache[..., :root, :] = self.root_cache
        hidden = self.forward(padded, cache, root, padding)
        if count > 1:
            cache, hidden, padding = (value.repeat_interleave(count, at) for value, at in ((cache, 2), (hidden, 0), (padding, 0)))
        answers = [[] for _ in range(len(hidden))]
        alive = list(range(len(hidden)))  # which answer a row writes
        ended = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        for step in range(longest):
            logits = (hidden @ self.language.embedding.T).float()
            tokens = self.choose(logits / temperature, generator)
            for answer, token, over in zip(alive, tokens.tolist(), ended.tolist()):
                if not over:
                    answers[answer].append(token)
            ended |= tokens == IM_END
            left = (~ended).nonzero()[:, 0]
            if len(left) == 0 or step + 1 == longest:
                break
            if len(left) < COMPACT_BELOW * len(ended):
                cache, tokens, ended, padding = cache[:, :, left], tokens[left], ended[left], padding[left]
                alive = [alive[row] for row in left.tolist()]
            hidden = self.forward(self.language.embedding[tokens][:, None], cache, root + length + step, padding)
        return answers

    def choose(self, logits, generator):
        if generator is None:
            return logits.argmax(-1)
        # Where a uniform number falls in the running sum: torch.multinomial draws as many numbers as there are words.
        running = logits.softmax(-1).cumsum(-1)
        point = torch.rand(len(logits), 1, generator=generator, device=logits.device) * running[:, -1:]
        return torch.searchsorted(running, point).squeeze(-1).clamp(max=logits.shape[1] - 1)
