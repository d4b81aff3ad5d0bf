import pytest
import torch

from ganmodels.measures import distances


def test_the_pieces_together_are_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    points, others = torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(0)).double()
    others = others[:30]
    monkeypatch.setattr(distances, "PIECE_BYTES", 8 * 30 * 4)  # four rows of thirty float64 at a time
    parts = list(distances.pieces(points, others))
    assert [len(part) for part, _ in parts] == [4] * 12 + [2]
    assert torch.equal(torch.cat([part for part, _ in parts]), points)
    direct = (points[:, None] - others).square().sum(2)
    torch.testing.assert_close(torch.cat([squared for _, squared in parts]), direct)


def test_a_row_larger_than_a_piece_is_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "PIECE_BYTES", 1)
    found, positions = distances.nearest(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [4.5]]))
    assert found.tolist() == [1.0, 0.5]
    assert positions.tolist() == [0, 1]


@pytest.mark.parametrize("origin", [0, 1_000])
def test_a_copy_is_found_at_no_distance_however_far_from_the_origin(origin: int) -> None:
    points = origin + torch.rand(40, 784, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    found, positions = distances.nearest(points[order], points)
    assert torch.equal(positions, order)
    assert torch.equal(found, torch.zeros(40, dtype=torch.float64))
