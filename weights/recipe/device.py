"""Where a training runs and in which precision its frozen weights and activations are."""

import time
from dataclasses import dataclass

import torch

ROWS, INPUTS, OUTPUTS = 512, 576, 3072  # of the timed product: the language model's widest linear layer
TIMED_SECONDS = 0.3


@dataclass(frozen=True)
class Setting:
    device: str  # "cuda" or "cpu"
    dtype: torch.dtype  # of the frozen weights and the activations; what is trained stays float32

    @property
    def room(self):
        """How many times as many tokens a batch holds as on a CPU core."""
        return 8 if self.device == "cuda" else 1


def product_seconds(dtype):
    """Best seconds of one product in `dtype` on this CPU."""
    x, weight = torch.randn(ROWS, INPUTS).to(dtype), torch.randn(OUTPUTS, INPUTS).to(dtype)
    best, until = float("inf"), time.perf_counter() + TIMED_SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        x @ weight.T
        best = min(best, time.perf_counter() - start)
    return best


def cpu_setting():
    """The CPU in the precision it multiplies faster in.

    Timed, not looked up: a CPU without bfloat16 instructions computes it three times slower than float32, one with them
    twice as fast, and which instructions a build of PyTorch uses is not written on the machine.
    """
    return Setting("cpu", min((torch.float32, torch.bfloat16), key=product_seconds))


def choose_setting():
    """A GPU in bfloat16 where there is one, else the CPU."""
    return Setting("cuda", torch.bfloat16) if torch.cuda.is_available() else cpu_setting()
