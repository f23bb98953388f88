"""EfficientNet-Lite2 with its batch norms folded: photo (3, 260, 260) -> map (1280, 9, 9) -> 5 x 1280 tokens."""

import torch
import torch.nn.functional as F
from torch import nn

from common import source_file

SIZE = 260
MEAN, STD = 127.0, 128.0  # pixels in 0..255 become (pixel - MEAN) / STD
BN_EPS = 1e-3

# Stages of EfficientNet-Lite at width 1.1, depth 1.2: (kernel, stride, expand, in, out, repeats).
# Lite variants fix the stem (32), the head (1280) and the repeats of the first and last stage.
STAGES = [
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 3),
    (5, 2, 6, 24, 48, 3),
    (3, 2, 6, 48, 88, 4),
    (5, 1, 6, 88, 120, 4),
    (5, 2, 6, 120, 208, 5),
    (3, 1, 6, 208, 352, 1),
]


def block_table():
    """One {kernel, stride, in, out, expand} a block, in order, as pack.json lists them."""
    blocks = []
    for kernel, stride, expand, inputs, outputs, repeats in STAGES:
        for repeat in range(repeats):
            first = repeat == 0
            blocks.append({
                "kernel": kernel,
                "stride": stride if first else 1,
                "in": inputs if first else outputs,
                "out": outputs,
                "expand": expand,
            })
    return blocks


def folded_weights():
    """The published weights with each batch norm folded into the convolution before it, float32, by the pack's names."""
    state = torch.load(source_file("vision"), map_location="cpu", weights_only=True)

    def fold(conv, norm):
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BN_EPS)
        weight = state[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale

    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for index, block in enumerate(block_table()):
        source = f"_blocks.{index}"
        if block["expand"] != 1:
            pairs[f"blocks.{index}.expand"] = (f"{source}._expand_conv", f"{source}._bn0")
        pairs[f"blocks.{index}.depthwise"] = (f"{source}._depthwise_conv", f"{source}._bn1")
        pairs[f"blocks.{index}.project"] = (f"{source}._project_conv", f"{source}._bn2")
    weights = {}
    for name, (conv, norm) in pairs.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = fold(conv, norm)
    weights["classifier.weight"] = state["_fc.weight"]
    weights["classifier.bias"] = state["_fc.bias"]
    return weights


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: output ceil(size / stride); an odd number of padding pixels puts the extra one at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class VisionTower(nn.Module):
    """The folded network. `weights` as folded_weights() gives them."""

    def __init__(self, weights):
        super().__init__()
        self.blocks = block_table()
        self.weights = nn.ParameterDict({
            name.replace(".", "/"): nn.Parameter(value, requires_grad=False) for name, value in weights.items()
        })

    def conv(self, name, x, stride=1, groups=1):
        weight, bias = self.weights[f"{name}/weight"], self.weights[f"{name}/bias"]
        before, after = same_padding(x.shape[-1], weight.shape[-1], stride)
        if before != after:
            x, before = F.pad(x, (before, after, before, after)), 0
        return F.conv2d(x, weight, bias, stride, before, 1, groups)

    def blocks_of(self, x, first, last):
        """The blocks from number `first` up to, without, `last`."""
        for index in range(first, last):
            block, inside = self.blocks[index], x
            if block["expand"] != 1:
                inside = F.relu6(self.conv(f"blocks/{index}/expand", inside))
            inside = F.relu6(self.conv(f"blocks/{index}/depthwise", inside, block["stride"], inside.shape[1]))
            inside = self.conv(f"blocks/{index}/project", inside)
            x = x + inside if block["stride"] == 1 and block["in"] == block["out"] else inside
        return x

    def forward(self, x):
        """(B, 3, 260, 260) normalised pixels -> (B, 1280, 9, 9), after the head convolution and its ReLU6."""
        x = F.relu6(self.conv("stem", x, stride=2))
        return F.relu6(self.conv("head", self.blocks_of(x, 0, len(self.blocks))))

    def logits(self, feature_map):
        """(B, 1280, 9, 9) -> (B, 1000) ImageNet logits."""
        return F.linear(feature_map.mean((2, 3)), self.weights["classifier/weight"], self.weights["classifier/bias"])


def pool_tokens(feature_map):
    """(B, 1280, 9, 9) -> (B, 5, 1280): the mean, then the means of the quarters TL, TR, BL, BR.

    Rows and columns 0..4 and 4..8: the middle ones belong to both sides.
    """
    quarters = [
        feature_map[:, :, rows, columns].mean((2, 3))
        for rows in (slice(0, 5), slice(4, 9))
        for columns in (slice(0, 5), slice(4, 9))
    ]
    return torch.stack([feature_map.mean((2, 3)), *quarters], dim=1)


def normalise(pixels):
    """(B, 260, 260, 3) uint8 RGB tensor -> (B, 3, 260, 260) float32, channels last in memory."""
    return ((pixels.float() - MEAN) / STD).permute(0, 3, 1, 2)
