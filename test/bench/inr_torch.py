"""The network of model/inr in eager PyTorch: prints the median milliseconds of a training step. Argument: facts as JSON."""

import json
import statistics
import sys
import time

import torch

facts = json.loads(sys.argv[1])
config, share = facts["config"], facts["share"]
torch.set_num_threads(facts["threads"])
torch.manual_seed(1)

width, height, patch = config["width"], config["height"], config["patch"]
frames, dim, rank, hidden, hyper = (config[k] for k in ("frames", "latentDim", "rank", "hidden", "hyperHidden"))
rows, columns = -(-height // patch), -(-width // patch)
grid, basis = config["grids"][0], {"count": config["basis"]["count"], **config["basis"]["grids"][0]}
pixels = patch * patch * 3
shapes = [(grid["channels"] + basis["channels"], hidden), *[(hidden, hidden)] * (config["layers"] - 2), (hidden, pixels)]


def parameter(*size):
    return torch.nn.Parameter(torch.randn(size) * 0.1)


latents = parameter(frames, dim)
grid0 = parameter(grid["channels"], grid["rows"], grid["columns"])
bases = parameter(basis["count"], basis["channels"] * basis["rows"] * basis["columns"])
mix, mix_bias = parameter(dim, basis["count"]), parameter(basis["count"])
layers = [
    [parameter(n, m), parameter(m), parameter(dim, hyper), parameter(hyper), parameter(hyper, (n + m) * rank), parameter((n + m) * rank)]
    for n, m in shapes
]
optimizer = torch.optim.Adam([latents, grid0, bases, mix, mix_bias, *[p for layer in layers for p in layer]], lr=1e-2, betas=(0.9, 0.99))
video = torch.randint(0, 256, (frames, rows, columns, pixels), dtype=torch.uint8)
targets = torch.randn(frames, dim)
mean = torch.rand(rows, columns, pixels)


def tents(coordinates, nodes):
    position = (coordinates[:, None] * nodes - 0.5).clamp(0, nodes - 1)
    return (1 - (position - torch.arange(nodes)).abs()).relu()


def step():
    f = torch.randperm(frames)[:8]
    r = torch.randperm(rows)[: int(rows * share)].sort().values
    c = torch.randperm(columns)[: int(columns * share)].sort().values
    ys, xs = (r + 0.5) / rows, (c + 0.5) / columns
    z = latents[f]
    wy, wx = tents(ys, grid["rows"]), tents(xs, grid["columns"])
    static = (wy @ grid0 @ wx.T).permute(1, 2, 0).reshape(1, -1, grid["channels"]).expand(8, -1, -1)
    mixed = ((z @ mix + mix_bias) @ bases).view(8, basis["channels"], basis["rows"], basis["columns"])
    wy, wx = tents(ys, basis["rows"]), tents(xs, basis["columns"])
    x = torch.cat([static, (wy @ mixed @ wx.T).permute(0, 2, 3, 1).reshape(8, -1, basis["channels"])], 2)
    for i, (weight, bias, h1, b1, h2, b2) in enumerate(layers):
        n, m = weight.shape
        factors = torch.tanh(z @ h1 + b1) @ h2 + b2
        p, q = factors[:, : n * rank].view(8, n, rank), factors[:, n * rank:].view(8, rank, m)
        x = x @ (torch.sigmoid(p @ q) * weight) + bias
        if i < len(layers) - 1:
            x = x.relu()
    x = x + mean[r][:, c].reshape(-1, pixels)
    truth = video[f][:, r][:, :, c].reshape(x.shape).float() / 255
    cosine = torch.nn.functional.cosine_similarity(z, targets[f]).mean()
    loss = (x - truth).square().mean() + 0.01 * (1 - cosine)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


times = []
for i in range(facts["warmUp"] + facts["runs"]):
    start = time.perf_counter()
    step()
    if i >= facts["warmUp"]:
        times.append(time.perf_counter() - start)
print(statistics.median(times) * 1000)
