import pytest
import torch

from ganmodels.measures.clusters import error, hungarian, majority


def test_permuted_clusters_are_recovered() -> None:
    random = torch.Generator().manual_seed(0)
    labels, order = torch.randint(10, (500,), generator=random), torch.randperm(10, generator=random)
    assigned = order[labels]
    for names in (majority(assigned, labels, 10, 10), hungarian(assigned, labels, 10)):
        assert torch.equal(names[order], torch.arange(10))
        assert error(assigned, labels, names) == 0
    assert error(assigned, labels, torch.arange(10)) > 0.5


def test_twenty_clusters_of_ten_classes_are_named_twice_each() -> None:
    labels = torch.arange(10).repeat(40)
    assigned = 2 * labels + torch.arange(400) // 10 % 2
    names = majority(assigned, labels, 20, 10)
    assert names.tolist() == [label for label in range(10) for _ in range(2)]
    assert error(assigned, labels, names) == 0


def test_most_images_name_a_cluster_and_the_rest_are_wrong() -> None:
    assigned, labels = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([2, 2, 1, 0, 0])
    names = majority(assigned, labels, 2, 3)
    assert names.tolist() == [2, 0]
    assert error(assigned, labels, names) == pytest.approx(1 / 5)


def test_a_tie_goes_to_the_lower_label() -> None:
    assert majority(torch.tensor([0, 0, 0, 0]), torch.tensor([2, 1, 2, 1]), 1, 3).tolist() == [1]


def test_an_empty_cluster_has_no_name_and_what_falls_into_it_later_is_wrong() -> None:
    names = majority(torch.tensor([0, 2]), torch.tensor([1, 0]), 3, 2)
    assert names.tolist() == [1, -1, 0]
    assert error(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 1, 0]), names) == 0.5


def test_one_to_one_gives_up_a_majority_for_the_most_images_right() -> None:
    """Both clusters are mostly class 0; the one with more of class 1 must take it."""
    assigned = torch.tensor([0] * 10 + [1] * 10)
    labels = torch.tensor([0] * 9 + [1] + [0] * 6 + [1] * 4)
    assert majority(assigned, labels, 2, 2).tolist() == [0, 0]
    names = hungarian(assigned, labels, 2)
    assert names.tolist() == [0, 1]
    assert error(assigned, labels, names) == pytest.approx(7 / 20)
