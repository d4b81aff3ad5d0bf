"""PacGAN (Lin et al. 2018), https://arxiv.org/abs/1712.04086: a discriminator that judges several images as one.

Deviation: a batch of `batch_size` images makes `batch_size / m` packs, where the authors draw m images for each.
"""

from torch import Tensor, nn


class Packed(nn.Module):
    """A discriminator of images m·C channels deep, handed images (B, C, H, W), B a multiple of m; gives (B / m,)."""

    def __init__(self, network: nn.Module, packing: int) -> None:
        super().__init__()
        self.network, self.packing = network, packing

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge each pack of neighbors in the batch. Labels say nothing here, but there is one for each pack."""
        packs = images.reshape(-1, self.packing * images.shape[1], *images.shape[2:])
        judged: Tensor = self.network(packs, labels[:: self.packing])
        return judged
