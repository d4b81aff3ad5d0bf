"""What the peers answer with: the same generator in PyTorch, one thread, its images as PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image


class Drawing:
    """An exported generator: noise (N, Z) and labels (N,) → images (N, C, H, W) in [0, 1]."""

    def __init__(self, file: Path, latent_size: int) -> None:
        torch.set_num_threads(1)
        self._generator = torch.export.load(file).module()
        self._latent_size = latent_size

    @torch.inference_mode()
    def draw(self, seeds: Sequence[int], labels: Sequence[int]) -> list[bytes]:
        """Draw one PNG for each seed and label, in one pass."""
        noise = [torch.randn(self._latent_size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        images = self._generator(torch.stack(noise), torch.tensor(labels))
        return [png(image) for image in images.mul(255).round().clamp(0, 255).to(torch.uint8)]


def png(image: torch.Tensor) -> bytes:
    """Encode bytes (C, H, W)."""
    pixels = image.permute(1, 2, 0).numpy()
    target = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(target, "PNG", compress_level=6)
    return target.getvalue()
