from worker.epochs import Epochs
from worker.selection import Selection


def test_the_lowest_figure_is_the_best_and_others_are_counted() -> None:
    selection = Selection("error_rate")
    assert [selection.consider(step, {"error_rate": figure}) for step, figure in ((1, 0.3), (2, 0.1), (3, 0.1))] == [
        True,
        True,
        False,
    ]
    assert (selection.lowest, selection.step, selection.since) == (0.1, 2, 1)
    assert not selection.exhausted(None)
    assert not selection.exhausted(2)
    assert selection.exhausted(1)


def test_an_evaluation_without_the_figure_says_nothing() -> None:
    selection = Selection("fd_classifier")
    assert not selection.consider(1, {"accuracy": 0.9})
    assert (selection.lowest, selection.since) == (None, 0)


def test_a_selection_survives_the_card() -> None:
    selection = Selection("error_rate")
    selection.consider(5, {"error_rate": 0.3})
    selection.consider(6, {"error_rate": 0.4})
    assert Selection.of("error_rate", selection.as_json()) == selection
    assert Selection.of("error_rate", None) == Selection("error_rate")


def test_an_epoch_is_the_mean_of_its_steps_and_the_next_starts_empty() -> None:
    epochs = Epochs(2)
    epochs.add({"d_loss": 1.0, "batch_accuracy": 0.5, "r1": 9.0})
    resumed = Epochs(2, epochs.as_json())
    for one in (epochs, resumed):
        one.add({"d_loss": 3.0, "batch_accuracy": 1.0})
        assert not one.over(1)
        assert one.over(2)
        assert one.close(2) == {"epoch": 1.0, "train_loss_d": 2.0, "train_accuracy": 0.75}
        one.add({"d_loss": 7.0})
        assert one.close(4) == {"epoch": 2.0, "train_loss_d": 7.0}
