"""The layer of adapter-training.bench.ts in eager PyTorch: prints median milliseconds of forward and backward. Argument: facts as JSON."""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

facts = json.loads(sys.argv[1])
torch.set_num_threads(facts["threads"])
torch.manual_seed(1)
dtype = getattr(torch, facts["dtype"])
batch, length, hidden, heads, kv, dim, inner, rank = (
    facts[k] for k in ("batch", "length", "hidden", "heads", "kvHeads", "headDim", "intermediate", "rank"))


class Linear:
    def __init__(self, n, m):
        self.weight = (torch.randn(m, n) * 0.05).to(dtype)
        self.a, self.b = (torch.nn.Parameter((torch.randn(size) * 0.05).to(dtype)) for size in ((n, rank), (rank, m)))

    def __call__(self, x):
        return F.linear(x, self.weight) + x @ self.a @ self.b


qkv, o, gate_up, down = Linear(hidden, (heads + 2 * kv) * dim), Linear(hidden, hidden), Linear(hidden, 2 * inner), Linear(inner, hidden)
trained = [p for layer in (qkv, o, gate_up, down) for p in (layer.a, layer.b)]
ones = torch.ones(hidden, dtype=dtype)
x = torch.randn(batch, length, hidden, dtype=dtype, requires_grad=True)
upstream = torch.randn(batch, length, hidden, dtype=dtype)


def step():
    q, k, v = qkv(F.rms_norm(x, (hidden,), ones, 1e-5)).split([heads * dim, kv * dim, kv * dim], 2)
    q, k, v = (part.view(batch, length, -1, dim).transpose(1, 2) for part in (q, k, v))
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    middle = x + o(attended.transpose(1, 2).reshape(batch, length, hidden))
    gate, up = gate_up(F.rms_norm(middle, (hidden,), ones, 1e-5)).chunk(2, 2)
    y = middle + down(F.silu(gate) * up)
    torch.autograd.grad(y, [x, *trained], upstream)


times = []
for i in range(2 + facts["runs"]):
    start = time.perf_counter()
    step()
    if i >= 2:
        times.append(time.perf_counter() - start)
print(statistics.median(times) * 1000)
