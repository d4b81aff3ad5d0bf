"""The command as a person meets it: plain words on failure, ids and pictures on success."""

import json
import sys
from pathlib import Path

import pytest

from ganymede import command
from ganymede.stack import operate
from tests.ganymede.fake_service import JOB, PNG, FakeService


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command as a shell would; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["ganymede", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


@pytest.fixture
def at_service(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> FakeService:
    monkeypatch.setenv("GANYMEDE_URL", service.url)
    return service


def test_knobs_keep_their_types(at_service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    knobs = ["-k", "conditional=true", "-k", "total_steps=1500", "-k", "conditioning=concat", "-k", "hidden=[64, 64]"]
    assert run(monkeypatch, "submit", "dcgan", "--dataset", "mnist", *knobs) == 0
    typed = {"conditional": True, "total_steps": 1500, "conditioning": "concat", "hidden": [64, 64]}
    assert at_service.posted == [{"family": "dcgan", "dataset": "mnist", **typed}]


def test_what_is_said_on_the_line_goes_before_the_file(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"family": "cgan", "total_steps": 5, "seed": 1}))
    assert run(monkeypatch, "submit", "--file", str(file), "-k", "seed=2") == 0
    assert at_service.posted == [{"family": "cgan", "total_steps": 5, "seed": 2}]


def test_submit_prints_the_id_alone(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "submit", "dcgan")
    assert capsys.readouterr().out == f"{JOB}\n"


def test_a_misspelled_knob_is_answered_in_the_services_own_words(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "submit", "dcgan", "-k", "totl_steps=5") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "The job spec is not valid.",
        "  /totl_steps: unknown knob; did you mean total_steps?",
    ]


@pytest.mark.parametrize("words", [["submit", "dcgan", "-k", "nonsense"], ["submit", "--file", "/no/such/file"]])
def test_nonsense_is_refused_before_anyone_is_asked(
    words: list[str],
    at_service: FakeService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert at_service.posted == []


def test_no_service_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "watch", JOB, "--url", "http://127.0.0.1:1") == 1
    said = capsys.readouterr().err
    assert "ganymede up" in said
    assert len(said.splitlines()) == 1


def test_watching_ends_well_when_the_job_does(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "watch", JOB) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "queued          0/20  number 3 in the queue"
    assert lines[1] == "running        10/20  1,234 images/s · 1 min 01 s left · d_loss 0.5"
    assert lines[-1] == f"The job {JOB} succeeded at step 20."


def test_watching_fails_when_the_job_does(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_service.final_state, at_service.error = "failed", {"code": "diverged", "message": "d_loss is nan", "step": 20}
    assert run(monkeypatch, "watch", JOB) == 1
    assert capsys.readouterr().err == f"The job {JOB} failed (diverged): d_loss is nan\n"


def test_a_sample_is_saved_in_the_format_its_name_says(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    assert (
        run(monkeypatch, "sample", "--label", "7", "-n", "16", "--grid", "4x4", "--truncation", "0.5", "-o", str(out))
        == 0
    )
    assert out.read_bytes() == PNG
    assert at_service.asked == ["/sample?label=7&n=16&format=png&grid=4x4&truncation=0.5"]


def test_a_sample_without_a_name_is_called_what_it_is(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "sample", "--format", "npz", "--index", "3") == 0
    assert run(monkeypatch, "sample", "-o", "OUT.PNG") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["OUT.PNG", "sample.npz"]
    assert at_service.asked == ["/sample?index=3&format=npz", "/sample?format=png"]


def test_a_file_that_cannot_be_written_is_said_in_one_line(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "sample", "--format", "png", "-o", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"{tmp_path} cannot be written: Is a directory\n"


def test_what_is_no_json_is_sent_as_the_word_it_is(at_service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "submit", "dcgan", "-k", "r1_weight=NaN") == 0
    assert at_service.posted == [{"family": "dcgan", "r1_weight": "NaN"}]


def test_names_are_given_and_listed(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "alias", "new", JOB) == 0
    assert run(monkeypatch, "alias", "new", JOB, "--step", "100") == 0
    assert at_service.posted == [{"job": JOB, "step": "latest"}, {"job": JOB, "step": 100}]
    assert run(monkeypatch, "models") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"new: latest of job {JOB}",
        f"new: 100 of job {JOB}",
        f"digits: best of job {JOB} (step 5)",
        f"letters: 5 of job {JOB} (no checkpoint yet)",
    ]


def test_what_an_image_shows_and_how_real_it_looks_is_said_in_a_line(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    image = tmp_path / "seven.png"
    image.write_bytes(PNG)
    assert run(monkeypatch, "classify", str(image), "--job", JOB) == 0
    assert capsys.readouterr().out == f"{image}: seven, probability 0.7500 (step 10 of job {JOB})\n"
    assert run(monkeypatch, "score", str(image), "--label", "7") == 0
    assert capsys.readouterr().out == f"{image}: probability 0.1824, logit -1.5000 (step 10 of job {JOB})\n"
    assert at_service.asked == [f"/classify?job={JOB}", "/score?label=7"]


def test_an_image_that_is_not_there_is_said_before_anyone_is_asked(
    at_service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for word in ("classify", "score"):
        assert run(monkeypatch, word, str(tmp_path / "no.png")) == 1
        assert capsys.readouterr().err == f"{tmp_path / 'no.png'} cannot be read: No such file or directory\n"
    assert at_service.asked == []


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["pause", JOB], f"/jobs/{JOB}/pause", "pausing"),
        (["resume", JOB], f"/jobs/{JOB}/resume", "queued"),
        (["cancel", JOB], f"/jobs/{JOB}/cancel", "cancelling"),
        (["retry", JOB], f"/jobs/{JOB}/retry", JOB),
        (["extend", JOB, "500"], f"/jobs/{JOB}/extend", JOB),
        (["delete", JOB], f"DELETE /jobs/{JOB}", ""),
        (["logs", JOB], f"/jobs/{JOB}/logs?limit=100", "--- attempt 1 by a-worker: failed"),
    ],
)
def test_a_job_is_steered_from_the_command_line(
    at_service: FakeService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    asked: str,
    said: str,
) -> None:
    run(monkeypatch, *words)
    assert at_service.asked == [asked]
    assert capsys.readouterr().out.splitlines()[:1] == ([said] if said else [])


def test_the_operators_commands_are_started_as_a_module_of_the_service() -> None:
    assert operate("keys") == [sys.executable, "-m", "app.operate", "keys"]
    assert operate("up") == [sys.executable, "-m", "app.operate", "up"]
