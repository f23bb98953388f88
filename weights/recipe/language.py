"""The language model for training: the pack's 4-bit weights frozen in one precision, an adapter beside each fused linear.

A batch is a forest. One root (the system text) is computed once and shared by all examples; an example is a row of tokens
in which each token sees the root and its own ancestors only, so several answers share the photo before them.
"""

import shutil

import torch
import torch.nn.functional as F
from torch import nn

from common import HIDDEN, LATENT_DIM, PROJECTOR_HIDDEN, RANK, TOKENS
from convert import dequantise, dequantise_embedding

HEADS, KV_HEADS, HEAD_DIM, LAYERS, MLP = 9, 3, 64, 30, 1536
ROPE_THETA, RMS_EPS = 100000.0, 1e-5
LINEARS = {"qkv": (HIDDEN, HIDDEN + 2 * KV_HEADS * HEAD_DIM), "o": (HIDDEN, HIDDEN),
           "gate_up": (HIDDEN, 2 * MLP), "down": (MLP, HIDDEN)}  # name: (in, out)
DROPOUT = 0.1  # of the adapter's ranks and of the projector's hidden layer, in training
ADAPTER_SCALE = 2.0  # multiplied into b when the adapter is exported


class Projector(nn.Module):
    """Latents (..., 256) -> visual tokens (..., 5, 576): a linear path plus one hidden GELU layer."""

    def __init__(self, sigma):
        super().__init__()
        # Small components carry mostly rounding noise: the floor keeps them from being blown up.
        self.register_buffer("norm", 1 / sigma.clamp(min=0.1 * float(sigma.max())))
        self.fc1 = nn.Linear(LATENT_DIM, PROJECTOR_HIDDEN)
        self.fc2 = nn.Linear(PROJECTOR_HIDDEN, TOKENS * HIDDEN)
        self.skip = nn.Linear(LATENT_DIM, TOKENS * HIDDEN, bias=False)
        for layer, spread in ((self.fc2, 0.1), (self.skip, 0.1)):
            # Tokens start about as large as the embeddings of words.
            nn.init.normal_(layer.weight, std=spread / layer.in_features**0.5)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, z):
        x = z * self.norm
        hidden = F.dropout(F.gelu(self.fc1(x)), DROPOUT, self.training)
        return (self.fc2(hidden) + self.skip(x)).unflatten(-1, (TOKENS, HIDDEN))


class Adapter(nn.Module):
    """A low-rank product beside each fused linear: a (in, r), b (r, out)."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for i in range(LAYERS):
            for name, (inputs, outputs) in LINEARS.items():
                self.a[f"{i}_{name}"] = nn.Parameter(torch.randn(inputs, RANK) / inputs**0.5)
                self.b[f"{i}_{name}"] = nn.Parameter(torch.zeros(RANK, outputs))

    def cast(self, dtype, generator=None):
        """{key: (a, b)} in `dtype`, differentiable. With a generator, DROPOUT of each pair's ranks are left out."""
        def scale(b):
            if generator is None:
                return ADAPTER_SCALE * b
            kept = torch.rand(RANK, 1, generator=generator, device=b.device) >= DROPOUT
            return ADAPTER_SCALE / (1 - DROPOUT) * kept * b

        return {key: (self.a[key].to(dtype), scale(self.b[key]).to(dtype)) for key in self.a}


class FrozenLinear(torch.autograd.Function):
    """x W^T + (x a) b with W frozen; saves x and x a only."""

    @staticmethod
    def forward(ctx, x, weight, a, b):
        low = x @ a
        ctx.save_for_backward(x, low, weight, a, b)
        return torch.addmm(x @ weight.T, low, b)

    @staticmethod
    def backward(ctx, grad):
        x, low, weight, a, b = ctx.saved_tensors
        grad_low = grad @ b.T
        grad_x = torch.addmm(grad @ weight, grad_low, a.T) if ctx.needs_input_grad[0] else None
        return grad_x, None, x.T @ grad_low, low.T @ grad


class TreeAttention(torch.autograd.Function):
    """Attention with grouped queries under an additive mask: a third of the time of PyTorch's own on a CPU in bfloat16.

    q (B, KV, G * L, 64), already divided by sqrt(64); k and v (B, KV, S, 64); mask (B, 1, G * L, S).
    """

    @staticmethod
    def forward(ctx, q, k, v, mask):
        weights = (q @ k.transpose(-1, -2)).add_(mask).softmax(-1)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx, grad):
        q, k, v, weights = ctx.saved_tensors
        grad_scores = torch._softmax_backward_data(grad @ v.transpose(-1, -2), weights, -1, weights.dtype)
        return grad_scores @ k, grad_scores.transpose(-1, -2) @ q, weights.transpose(-1, -2) @ grad, None


def compiled(function):
    """Fused elementwise code where a compiler is at hand: a fifth of the time for the norms."""
    return torch.compile(function, dynamic=True) if shutil.which("g++") else function


@compiled
def rms_norm(x, weight):
    """RMSNorm over the last axis, computed in float32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + RMS_EPS) * weight).to(x.dtype)


@compiled
def rotate(x, cos, sin):
    """Rotary positions, half-split order. x (N, heads, 64), cos and sin (N, 1, 32)."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


@compiled
def swiglu(x):
    """(N, 2 * MLP) -> (N, MLP)."""
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


class Language:
    """The frozen decoder. tensors: the pack's language and embedding tensors; setting: where it runs and in which precision."""

    def __init__(self, tensors, setting):
        self.device, self.dtype = setting.device, setting.dtype

        def put(array, dtype=torch.float32):
            return torch.from_numpy(array).to(self.device, dtype)

        self.weights = {f"{i}_{name}": put(dequantise(tensors, f"layers.{i}.{name}"), self.dtype)
                        for i in range(LAYERS) for name in LINEARS}
        self.norms = [[put(tensors[f"layers.{i}.{part}"]) for part in ("attention_norm", "mlp_norm")] for i in range(LAYERS)]
        self.norm = put(tensors["norm"])
        self.embedding = put(dequantise_embedding(tensors), self.dtype)
        frequencies = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2, device=self.device) / HEAD_DIM)
        angles = torch.arange(4096, device=self.device)[:, None] * frequencies
        self.cos, self.sin = angles.cos()[:, None], angles.sin()[:, None]  # (positions, 1, 32)

    def forward(self, x, positions, mask, root, shape, adapter):
        """Hidden states after the last norm.

        x (root + B * L, 576) the root's tokens, then the rows'; positions likewise; mask (B, 1, L, root + L) additive;
        shape (B, L); adapter as Adapter.cast() gives it.
        """
        rows, length = shape
        group = HEADS // KV_HEADS
        cos, sin = (table[positions].to(self.dtype) for table in (self.cos, self.sin))
        q_cos, q_sin = cos / HEAD_DIM**0.5, sin / HEAD_DIM**0.5
        root_mask = torch.full((root, root), float("-inf"), dtype=self.dtype, device=self.device).triu(1).repeat(1, 1, group, 1)
        mask = mask.to(self.dtype).repeat(1, 1, group, 1)

        def linear(key, value):
            return FrozenLinear.apply(value, self.weights[key], *adapter[key])

        def split_rows(value):  # (N, heads, 64) -> root (1, KV, G * root, 64), rows (B, KV, G * L, 64)
            heads = value.shape[1]
            return (value[:root].transpose(0, 1).reshape(1, KV_HEADS, -1, HEAD_DIM),
                    value[root:].view(rows, length, heads, HEAD_DIM).transpose(1, 2).reshape(rows, KV_HEADS, -1, HEAD_DIM))

        for i in range(LAYERS):
            attention_norm, mlp_norm = self.norms[i]
            heads = linear(f"{i}_qkv", rms_norm(x, attention_norm)).unflatten(-1, (-1, HEAD_DIM))
            q = rotate(heads[:, :HEADS], q_cos, q_sin)
            k = rotate(heads[:, HEADS:HEADS + KV_HEADS], cos, sin)
            (root_q, row_q), (root_k, row_k), (root_v, row_v) = (
                split_rows(value) for value in (q, k, heads[:, HEADS + KV_HEADS:]))
            root_out = TreeAttention.apply(root_q, root_k, root_v, root_mask)
            keys = torch.cat([root_k.expand(rows, -1, -1, -1), row_k], 2)
            values = torch.cat([root_v.expand(rows, -1, -1, -1), row_v], 2)
            row_out = TreeAttention.apply(row_q, keys, values, mask)
            out = torch.cat([
                value.reshape(-1, HEADS, tokens, HEAD_DIM).transpose(1, 2).reshape(-1, HIDDEN)
                for value, tokens in ((root_out, root), (row_out, length))])
            x = x + linear(f"{i}_o", out)
            x = x + linear(f"{i}_down", swiglu(linear(f"{i}_gate_up", rms_norm(x, mlp_norm))))
        return rms_norm(x, self.norm)


class FrozenHeadLoss(torch.autograd.Function):
    """Weighted sum of cross entropies through the frozen, tied head, its gradient made in the forward pass, in chunks."""

    CHUNK = 256

    @staticmethod
    def forward(ctx, hidden, embedding, rows, targets, weights):
        """hidden (N, 576); of each of M terms: rows (M) of `hidden`, ascending, targets (M) token ids, weights (M)."""
        total, grads = hidden.new_zeros((), dtype=torch.float32), []
        for start in range(0, len(hidden), FrozenHeadLoss.CHUNK):
            part = hidden[start:start + FrozenHeadLoss.CHUNK]
            first, last = torch.searchsorted(rows, torch.tensor([start, start + len(part)], device=rows.device)).tolist()
            row, target, weight = rows[first:last] - start, targets[first:last], weights[first:last]
            logp = (part @ embedding.T).float().log_softmax(-1)
            total = total - (weight * logp[row, target]).sum()
            if ctx.needs_input_grad[0]:
                grad = logp.exp_().mul_(torch.zeros(len(part), 1, device=weight.device).index_add_(0, row, weight[:, None]))
                grad.index_put_((row, target), -weight, accumulate=True)
                grads.append(grad.to(hidden.dtype) @ embedding)
        if grads:
            ctx.save_for_backward(torch.cat(grads))
        return total

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_tensors[0] * grad, None, None, None, None
