"""The `ganymede` command: starts the service, posts jobs, watches them learn and saves what they draw."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ganymede.answers import Job
from ganymede.client import DEFAULT_URL, Client
from ganymede.demo import Demo
from ganymede.errors import GanymedeError
from ganymede.show import ending, progress
from ganymede.stack import operate

commands = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train GANs as jobs and draw what they learned.",
)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

Url = Annotated[str, typer.Option(envvar="GANYMEDE_URL", help="The service to talk to.")]
ApiKey = Annotated[str | None, typer.Option(envvar="GANYMEDE_API_KEY", help="Its key, if it asks for one.")]

Model = Annotated[str | None, typer.Option(help="A model by its name, instead of a job.")]
Step = Annotated[str | None, typer.Option(help="latest, best or a step.")]
ImageFile = Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP.", metavar="IMAGE")]


class WrongInput(GanymedeError):
    """What was typed makes no sense before any service has seen it."""


@commands.command(context_settings=PASSED_ON)
def up(context: typer.Context) -> None:
    """Start the whole service on this machine; `ganymede up --help` lists its options."""
    _become(operate("up") + context.args)


@commands.command(context_settings=PASSED_ON)
def worker(context: typer.Context) -> None:
    """Start one more worker; `ganymede worker --help` lists its options."""
    _become(operate("worker") + context.args)


@commands.command(context_settings=PASSED_ON)
def keys(context: typer.Context) -> None:
    """Make, list and revoke API keys on this machine's database; `ganymede keys --help` lists how."""
    _become(operate("keys") + context.args)


@commands.command(context_settings=PASSED_ON)
def backup(context: typer.Context) -> None:
    """Write all that a service keeps into a folder, while it runs; `ganymede backup --help` lists its options."""
    _become(operate("backup") + context.args)


@commands.command(context_settings=PASSED_ON)
def restore(context: typer.Context) -> None:
    """Fill an empty service from a backup; `ganymede restore --help` lists its options."""
    _become(operate("restore") + context.args)


@commands.command()
def demo(
    home: Annotated[Path, typer.Option(help="Where the stack keeps its state.")] = Path(".ganymede/demo"),
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("demo"),
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to train; what the quality was measured at.")] = None,
    dataset: Annotated[str, typer.Option(help="mnist or digits.")] = "mnist",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end.")] = False,
) -> None:
    """Start the stack, train a conditional GAN, and draw every digit; fails when the figures miss their marks."""
    passed = Demo(_console(), home, out, steps, keep).run(dataset)
    raise SystemExit(0 if passed else 1)


@commands.command()
def submit(
    family: Annotated[
        str | None, typer.Argument(help="The kind of GAN, `dcgan` say; GET /families lists them.")
    ] = None,
    knobs: Annotated[list[str] | None, typer.Option("-k", "--knob", help="NAME=VALUE, as often as needed.")] = None,
    file: Annotated[Path | None, typer.Option(help="A spec as JSON; what else is said here goes before it.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The data set to learn.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show its progress.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Post a job: `ganymede submit dcgan --dataset mnist -k conditional=true -k total_steps=1500`."""
    spec = _read_spec(file) if file is not None else {}
    said = {"family": family, "dataset": dataset, "name": name}
    spec |= {key: value for key, value in said.items() if value is not None}
    spec |= dict(_knob(knob) for knob in knobs or [])
    with Client(url, api_key) as client:
        job = client.submit(**spec)
        typer.echo(job.id)
        if watch:
            _watch(client, job.id)


@commands.command()
def watch(
    job: Annotated[str, typer.Argument(help="The job's id.")], url: Url = DEFAULT_URL, api_key: ApiKey = None
) -> None:
    """Show a job's progress until it is finished; fails unless it succeeded."""
    with Client(url, api_key) as client:
        _watch(client, job)


JobArgument = Annotated[str, typer.Argument(help="The job's id.", metavar="JOB")]


@commands.command()
def pause(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Set a job aside until it is resumed; one that runs writes a checkpoint first."""
    with Client(url, api_key) as client:
        typer.echo(client.pause(job).state)


@commands.command()
def resume(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Put a paused job back into the queue."""
    with Client(url, api_key) as client:
        typer.echo(client.resume(job).state)


@commands.command()
def cancel(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Stop a job for good; its checkpoints stay."""
    with Client(url, api_key) as client:
        typer.echo(client.cancel(job).state)


@commands.command()
def retry(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Queue a new job like one that failed or was cancelled, from its newest checkpoint if there is one."""
    with Client(url, api_key) as client:
        typer.echo(client.retry(job).id)


@commands.command()
def extend(
    job: JobArgument,
    total_steps: Annotated[int, typer.Argument(help="How many steps in all.")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Queue a new job that trains a finished one further."""
    with Client(url, api_key) as client:
        typer.echo(client.extend(job, total_steps).id)


@commands.command()
def delete(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Forget a finished job, its checkpoints and previews too."""
    with Client(url, api_key) as client:
        client.delete(job)


@commands.command()
def logs(job: JobArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Print what the processes said that trained a job, attempt by attempt."""
    with Client(url, api_key) as client:
        for attempt in client.logs(job, limit=100):
            typer.echo(f"--- attempt {attempt.number} by {attempt.worker}: {attempt.state or 'under way'}")
            typer.echo(attempt.log)


@commands.command()
def models(url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the names that serve, each with its job and checkpoint."""
    with Client(url, api_key) as client:
        for model in client.models(limit=100):
            now = "no checkpoint yet" if model.checkpoint is None else f"step {model.checkpoint}"
            typer.echo(f"{model.name}: {model.step} of job {model.job} ({now})")


@commands.command()
def alias(
    name: Annotated[str, typer.Argument(help="The model's name; `default` answers where nobody is named.")],
    job: JobArgument,
    step: Annotated[str, typer.Option(help="latest, best or a step.")] = "latest",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Let a name stand for a job's newest checkpoint, or another: `ganymede alias digits JOB --step best`."""
    with Client(url, api_key) as client:
        model = client.set_model(name, job, int(step) if step.isdecimal() else step)
    typer.echo(f"{model.name}: {model.step} of job {model.job}")


@commands.command()
def sample(
    label: Annotated[str | None, typer.Option(help="What to draw: an index or a name.")] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws the same again; one is chosen when left out.")] = None,
    index: Annotated[int | None, typer.Option(help="The first image's place in the seed's row.")] = None,
    job: Annotated[str | None, typer.Option(help="Whose generator; the newest that can answer when left out.")] = None,
    model: Model = None,
    step: Step = None,
    format: Annotated[str | None, typer.Option(help="png, npz or json; what OUT ends in when left out.")] = None,
    grid: Annotated[str | None, typer.Option(help="ROWSxCOLUMNS, `4x4` say.")] = None,
    scale: Annotated[int | None, typer.Option(help="Draw each pixel this many times larger.")] = None,
    truncation: Annotated[float | None, typer.Option(help="The smaller, from 4 down, the more usual.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; `sample.png`, or what the format is called.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Draw images: `ganymede sample --label 7 -n 16 --grid 4x4 -o out.png`."""
    out = out or Path(f"sample.{format or 'png'}")
    chosen = format or out.suffix.lstrip(".").lower() or None
    with Client(url, api_key) as client:
        drawn = client.sample(
            label=label,
            n=n,
            seed=seed,
            index=index,
            job=job,
            model=model,
            step=step,
            format=chosen,
            grid=grid,
            scale=scale,
            truncation=truncation,
        )
    try:
        drawn.save(out)
    except OSError as error:
        raise WrongInput(f"{out} cannot be written: {error.strerror}") from error
    sure = "" if drawn.confidence is None else f", confidence {drawn.confidence:.2f}"
    typer.echo(f"{out}: seed {drawn.seed}, step {drawn.step} of job {drawn.job}{sure}")


@commands.command()
def classify(
    image: ImageFile,
    job: Annotated[str | None, typer.Option(help="Whose class head; the newest that can when left out.")] = None,
    model: Model = None,
    step: Step = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Tell what an image shows: `ganymede classify seven.png`; its size must be the model's."""
    content = _read_image(image)
    with Client(url, api_key) as client:
        found = client.classify(content, job=job, model=model, step=step)
    told = f"{found.label_name}, probability {found.probability:.4f}"
    typer.echo(f"{image}: {told} (step {found.step} of job {found.job})")


@commands.command()
def score(
    image: ImageFile,
    label: Annotated[str | None, typer.Option(help="What it is to show, for a discriminator that asks.")] = None,
    job: Annotated[str | None, typer.Option(help="Whose discriminator; the newest that can when left out.")] = None,
    model: Model = None,
    step: Step = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Tell how real an image looks to a discriminator: `ganymede score seven.png`; its size must be the model's."""
    content = _read_image(image)
    with Client(url, api_key) as client:
        found = client.score(content, label=label, job=job, model=model, step=step)
    odds = "" if found.probability is None else f"probability {found.probability:.4f}, "
    told = f"{odds}logit {found.logit:.4f}"
    typer.echo(f"{image}: {told} (step {found.step} of job {found.job})")


def main() -> None:
    """Run the command; what a person can put right is said in a line or two, without a traceback."""
    with _plain_failures():
        commands()


def _watch(client: Client, id: str) -> Job:
    """Show a job until it is finished; leave with status 1 unless it succeeded."""
    console = _console()
    with progress(console) as show:
        job = client.wait(id, show)
    typer.echo(ending(job), err=job.state != "succeeded")
    if job.state != "succeeded":
        raise SystemExit(1)
    return job


def _read_spec(file: Path) -> dict[str, Any]:  # Any: JSON; the service knows the menu
    try:
        spec = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise WrongInput(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(spec, dict):
        raise WrongInput(f"{file} holds {type(spec).__name__}, expected an object of knobs")
    return spec


def _read_image(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongInput(f"{file} cannot be read: {error.strerror}") from error


def _knob(text: str) -> tuple[str, Any]:  # Any: the service says what a knob may hold
    """Read `NAME=VALUE`; a value that is no JSON is a word: `conditioning=concat`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise WrongInput(f"-k {text}: expected NAME=VALUE, `-k total_steps=1500` say")
    try:
        return name, json.loads(value, parse_constant=_refuse)
    except ValueError:
        return name, value


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and the like are no JSON: the service is sent the word, and says what it expects


def _become(command: list[str]) -> None:
    """Replace this process, so that signals and the exit status are the service's own."""
    os.execv(command[0], command)


def _console() -> Console:
    return Console(highlight=False)


@contextmanager
def _plain_failures() -> Iterator[None]:
    try:
        yield
    except GanymedeError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # 128 + SIGINT, as shells count it


if __name__ == "__main__":
    main()
