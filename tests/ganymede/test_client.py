"""The SDK against a service that answers as the contract says."""

import base64
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ganymede import ApiError, Client, ConnectionFailed, GanymedeError, Job, JobNotFinished
from tests.ganymede.fake_service import JOB, PNG, TOTAL_STEPS, FakeService


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def test_a_spec_is_posted_as_it_was_said(client: Client, service: FakeService) -> None:
    job = client.submit(family="dcgan", conditional=True, total_steps=20)
    assert service.posted == [{"family": "dcgan", "conditional": True, "total_steps": 20}]
    assert (job.id, job.state, job.is_finished) == (JOB, "queued", False)


def test_an_idempotency_key_travels_as_a_header(client: Client, service: FakeService) -> None:
    client.submit(family="dcgan", idempotency_key="once")
    assert service.headers[-1]["Idempotency-Key"] == "once"
    assert "idempotency_key" not in service.posted[-1]


def test_an_api_key_travels_as_a_bearer_token(service: FakeService) -> None:
    with Client(service.url, "secret") as client:
        client.families()
    assert service.headers[-1]["Authorization"] == "Bearer secret"


def test_an_api_key_is_taken_from_the_environment(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANYMEDE_API_KEY", "secret")
    for own, sent in ((None, "secret"), ("other", "other")):
        with Client(service.url, own) as client:
            client.families()
        assert service.headers[-1]["Authorization"] == f"Bearer {sent}"


def test_keys_are_made_listed_and_revoked(client: Client, service: FakeService) -> None:
    key = client.create_key("lab 3", ["train", "sample"], expires_in_days=30)
    assert service.posted == [{"name": "lab 3", "scopes": ["train", "sample"], "expires_in_days": 30}]
    assert (key.id, key.secret, key.scopes, key.is_revoked) == (JOB, "gm_secret", ["train", "sample"], False)
    assert "gm_secret" not in repr(key)
    assert [(each.secret, each.is_revoked) for each in client.keys(limit=2)] == [(None, False), (None, True)]
    client.revoke_key(key.id)
    assert service.asked == ["/keys?limit=2", f"DELETE /keys/{JOB}"]


def test_without_an_api_key_nothing_is_sent(client: Client, service: FakeService) -> None:
    client.families()
    assert "Authorization" not in service.headers[-1]


def test_a_refusal_names_the_field_and_what_is_allowed(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.submit(family="dcgan", totl_steps=20)
    assert (refused.value.status, refused.value.request_id) == (422, "r-1")
    assert [fault.pointer for fault in refused.value.errors] == ["/totl_steps"]
    assert "did you mean total_steps?" in str(refused.value)


def test_an_answer_that_is_no_problem_document_keeps_its_status(client: Client) -> None:
    with pytest.raises(ApiError, match="HTTP 502") as refused:
        client.job("proxy")
    assert refused.value.status == 502


def test_an_unreachable_service_is_said_with_what_to_do() -> None:
    with Client(f"http://127.0.0.1:{unused_port()}") as client:
        assert not client.ready()
        with pytest.raises(ConnectionFailed, match="ganymede up"):
            client.job(JOB)


def test_a_slow_service_is_not_said_to_be_absent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2) as client:
            with pytest.raises(ConnectionFailed, match="too long"):
                client.job(JOB)


def test_waiting_shows_every_look_and_returns_the_finished_job(client: Client) -> None:
    seen: list[int] = []

    def look(job: Job) -> None:
        seen.append(job.progress.step)

    job = client.wait(JOB, look)
    assert seen == [0, 10, TOTAL_STEPS]
    assert (job.state, job.latest_checkpoint) == ("succeeded", TOTAL_STEPS)


def test_waiting_ends_when_the_time_is_over(client: Client) -> None:
    with pytest.raises(JobNotFinished, match=JOB):
        client.wait(JOB, timeout_seconds=0)


def test_a_failed_job_is_returned_with_its_error(client: Client, service: FakeService) -> None:
    service.final_state, service.error = "failed", {"code": "diverged", "message": "d_loss is nan", "step": 20}
    job = client.wait(JOB)
    assert job.error is not None
    assert (job.state, job.error.code, job.error.step) == ("failed", "diverged", 20)


def test_cancelling_returns_the_job_as_it_is_then(client: Client) -> None:
    assert client.cancel(JOB).state == "cancelling"


def test_a_job_is_steered_by_one_call_each(client: Client, service: FakeService) -> None:
    assert (client.pause(JOB).state, client.resume(JOB).state, client.retry(JOB).id) == ("pausing", "queued", JOB)
    assert client.extend(JOB, 500).id == JOB
    client.delete(JOB)
    here = f"/jobs/{JOB}"
    assert service.asked == [*(f"{here}/{name}" for name in ("pause", "resume", "retry", "extend")), f"DELETE {here}"]
    assert service.posted == [{"total_steps": 500}]


def test_the_attempts_at_a_job_are_read_with_their_logs(client: Client) -> None:
    failed, going_on = client.logs(JOB)
    assert (failed.number, failed.state, failed.log) == (1, "failed", "Traceback: disk full")
    assert going_on.state is None


def test_a_sample_knows_what_would_draw_it_again(client: Client, service: FakeService, tmp_path: Path) -> None:
    drawn = client.sample(label=7, n=16, grid="4x4")
    assert service.asked == ["/sample?label=7&n=16&grid=4x4"]
    assert (drawn.content, drawn.media_type) == (PNG, "image/png")
    assert (drawn.seed, drawn.label, drawn.step, drawn.job) == (42, "7", 10, JOB)
    assert drawn.save(tmp_path / "new" / "seven.png").read_bytes() == PNG


def test_lists_are_sent_as_they_were_said(client: Client, service: FakeService) -> None:
    assert client.sample_each(labels=[7, "sneaker"], seed=5).seed == 5
    assert client.sample_each(seeds=[1, 2], labels=[3, 4], format="npz", model="digits").seed is None
    assert service.posted == [
        {"labels": [7, "sneaker"], "seed": 5},
        {"seeds": [1, 2], "labels": [3, 4], "format": "npz", "model": "digits"},
    ]


def test_a_way_between_two_seeds_is_asked_for_as_it_was_said(client: Client, service: FakeService) -> None:
    assert client.interpolate(1, 2, label="sneaker", frames=9, model="digits", format="webp", scale=4).content == PNG
    asked = "from_seed=1&to_seed=2&label=sneaker&frames=9&model=digits&format=webp&scale=4"
    assert service.asked == [f"/interpolate?{asked}"]


def test_names_are_given_read_and_let_go(client: Client, service: FakeService) -> None:
    digits, letters = client.models()
    assert (digits.name, digits.job, digits.step, digits.checkpoint) == ("digits", JOB, "best", 5)
    assert (letters.name, letters.step, letters.checkpoint) == ("letters", 5, None)
    assert client.model("digits") == digits
    assert client.set_model("new", JOB, 100).step == 100
    assert client.set_model("new", JOB).step == "latest"
    client.delete_model("new")
    client.sample(model="new")
    assert service.asked == [
        *("/models", "/models/digits", "PUT /models/new", "PUT /models/new", "DELETE /models/new"),
        "/sample?model=new",
    ]
    assert service.posted == [{"job": JOB, "step": 100}, {"job": JOB, "step": "latest"}]


def test_a_sample_knows_how_sure_the_model_was_where_it_chose(client: Client, service: FakeService) -> None:
    assert client.sample(label=7).confidence is None
    service.confidence = "0.912345"
    assert client.sample(label=7).confidence == 0.912345


def test_an_image_is_classified_from_bytes_and_from_a_file(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    file = tmp_path / "seven.png"
    file.write_bytes(PNG)
    for image in (PNG, file, str(file)):
        found = client.classify(image, job=JOB, step="best")
        assert (found.label, found.label_name, found.probability) == (7, "seven", 0.75)
        assert (found.probabilities, found.step, found.job) == ({"seven": 0.75}, 10, JOB)
    assert service.asked == [f"/classify?job={JOB}&step=best"] * 3
    assert [base64.b64decode(posted["images"][0]) for posted in service.posted] == [PNG] * 3


def test_an_image_is_scored_as_one_of_a_label(client: Client, service: FakeService) -> None:
    found = client.score(PNG, label=0)
    assert (found.logit, found.probability, found.step, found.job) == (-1.5, 0.1824, 10, JOB)
    assert service.asked == ["/score?label=0"]
    assert service.posted == [{"images": [base64.b64encode(PNG).decode()]}]


def test_label_zero_and_seed_zero_are_asked_for(client: Client, service: FakeService) -> None:
    client.sample(label=0, seed=0)
    assert service.asked == ["/sample?label=0&seed=0"]


def test_lists_are_pages_of_records(client: Client) -> None:
    assert [job.id for job in client.jobs(state="queued", limit=5)] == [JOB]
    assert client.events(JOB).data[0].at == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert client.checkpoints(JOB).data[0].files["card.json"]["size"] == 1
    assert [(preview.step, preview.score) for preview in client.previews(JOB)] == [(5, 0.25)]
    assert [family.name for family in client.families()] == ["dcgan"]
    assert [worker.id for worker in client.workers()] == ["a-worker"]
    assert client.ready()


def test_metrics_are_curves_by_name(client: Client, service: FakeService) -> None:
    curves = client.metrics(JOB, name=["d_loss", "g_loss"], max_points=2)
    assert service.asked == [f"/jobs/{JOB}/metrics?name=d_loss&name=g_loss&max_points=2"]
    assert curves["d_loss"].points == [(1, 0.5), (2, None)]
    assert curves["d_loss"].total_points == 200


def test_metrics_are_of_all_pages(client: Client, service: FakeService) -> None:
    assert list(client.metrics(JOB, from_step=1)) == ["d_loss", "g_loss"]
    assert service.asked == [f"/jobs/{JOB}/metrics?from_step=1", f"/jobs/{JOB}/metrics?from_step=1&after=d_loss"]


def test_filters_left_out_are_not_sent(client: Client, service: FakeService) -> None:
    client.jobs(state="queued")
    assert service.asked == ["/jobs?state=queued"]


def test_every_failure_is_a_ganymede_error() -> None:
    assert all(issubclass(kind, GanymedeError) for kind in (ApiError, ConnectionFailed, JobNotFinished))


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
