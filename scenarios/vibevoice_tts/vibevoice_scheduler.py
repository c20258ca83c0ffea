"""The noise scheduler that `generate` is handed where diffusers is not installed.

The deterministic sampler of Song et al., "Denoising Diffusion Implicit Models" (2021), equation 12
with no noise added, on the cosine schedule of Nichol and Dhariwal (2021) and with the model
predicting the velocity: what diffusers' first-order solver computes for the published settings
(``beta_schedule="squaredcos_cap_v2"``, ``prediction_type="v_prediction"``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

TRAINING_STEPS = 1000
_LARGEST_BETA = 0.999


@dataclass(frozen=True, slots=True)
class Step:
    """What `generate` asks of a step: the latents, one step less noisy."""

    prev_sample: Any


class CosineScheduler:
    """``set_timesteps``, ``timesteps`` and ``step``, as `generate` calls them."""

    def __init__(self) -> None:
        self._kept = kept_share()
        self.timesteps: Any = None

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Spread the steps evenly from the noisiest down, the clean end left out."""
        import torch

        ends = torch.linspace(0, TRAINING_STEPS - 1, num_inference_steps + 1)
        self.timesteps = ends.round().long().flip(0)[:-1]

    def step(self, velocity: Any, timestep: Any, noisy: Any) -> Step:
        """`noisy` (a batch of latents) taken one step down, along the predicted `velocity`."""
        at = int(timestep)
        signal, noise = math.sqrt(self._kept[at]), math.sqrt(1 - self._kept[at])
        clean = signal * noisy - noise * velocity
        rest = signal * velocity + noise * noisy
        lower = [int(each) for each in self.timesteps if each < at]
        kept = self._kept[max(lower)] if lower else 1.0
        return Step(math.sqrt(kept) * clean + math.sqrt(1 - kept) * rest)


def kept_share() -> tuple[float, ...]:
    """How much of the signal's power is left at each training step: falling, within (0, 1)."""
    share, shares = 1.0, []
    for step in range(TRAINING_STEPS):
        beta = 1 - _cosine((step + 1) / TRAINING_STEPS) / _cosine(step / TRAINING_STEPS)
        share *= 1 - min(beta, _LARGEST_BETA)
        shares.append(share)
    return tuple(shares)


def _cosine(share: float) -> float:
    return math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2
