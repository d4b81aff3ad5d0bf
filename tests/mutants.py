"""Break the code on purpose, one fault at a time, and see the tests go red: `make mutants`.

Each fault is a piece of code replaced in a copy of the project, and the tests that must notice. A piece that is no
longer there, or a fault that no test notices, ends the run with status 1.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("app", "benchmarks", "ganmodels", "ganymede", "store", "tests", "worker", "pyproject.toml")


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file`, `sound` becomes `broken`; `tests` must go red."""

    name: str
    file: str
    sound: str
    broken: str
    tests: str


MUTANTS = (
    Mutant(
        "the discriminator's loss has its sign flipped",
        "ganmodels/losses.py",
        "return softplus(-real).mean() + softplus(fake).mean()",
        "return softplus(real).mean() + softplus(-fake).mean()",
        "tests/laws",
    ),
    Mutant(
        "the generator's loss has its sign flipped",
        "ganmodels/losses.py",
        "return softplus(-fake).mean()",
        "return softplus(fake).mean()",
        "tests/laws",
    ),
    Mutant(
        "draws forget the step",
        "ganmodels/draws.py",
        'f"{seed}/{rollbacks}/{step}/{purpose.value}"',
        'f"{seed}/{rollbacks}/{purpose.value}"',
        "tests/laws tests/ganmodels/test_draws.py",
    ),
    Mutant(
        "draws come from PyTorch's global generator",
        "ganmodels/draws.py",
        "return torch.Generator().manual_seed(number(seed, rollbacks, step, purpose))",
        "return torch.default_generator",
        "tests/laws",
    ),
    Mutant(
        "the average forgets the buffers",
        "ganmodels/averaging.py",
        "kept.copy_(network.get_buffer(name))",
        "pass",
        "tests/laws",
    ),
    Mutant(
        "the average takes the statistics of other weights than its own",
        "ganmodels/averaging.py",
        "        if name not in statistics:\n",
        "        if True:\n",
        "tests/laws",
    ),
    Mutant(
        "two claims take one job",
        "store/claims.py",
        "        .with_for_update(skip_locked=True)\n",
        "",
        "tests/store/test_claims.py",
    ),
    Mutant(
        "the claim takes jobs that do not wait",
        "store/claims.py",
        "        .where(jobs.c.state == JobState.QUEUED, or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now()))",
        "        .where(or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now()))",
        "tests/store/test_claims.py",
    ),
    Mutant(
        "a trainer's writes forget the token",
        "store/claims.py",
        "            jobs.c.token == self.token,\n",
        "",
        "tests/store/test_fencing.py",
    ),
    Mutant(
        "a job is resumed under whatever spec it has now",
        "worker/numerics.py",
        "        if kept[name] != mine[name]:",
        "        if False:",
        "tests/worker/test_run.py",
    ),
    Mutant(
        "retention lets the best go",
        "store/checkpoints.py",
        "*([best.step] if best else []), ",
        "",
        "tests/store/test_checkpoints.py",
    ),
    Mutant(
        "a checkpoint that another job is to begin with is let go",
        "store/checkpoints.py",
        "awaited, pinned = _awaited(connection, job_number), ",
        "awaited, pinned = set(), ",
        "tests/store/test_checkpoints.py tests/store/test_carrying_on.py",
    ),
    Mutant(
        "the sweep takes what a living attempt writes",
        "store/sweeping.py",
        "        and not (live and file.startswith(live))\n",
        "",
        "tests/store/test_sweeping.py",
    ),
    Mutant(
        "an event stream begins anew whatever was seen",
        "app/routes/events.py",
        "_stream(held, holder, job.number, seen)",
        "_stream(held, holder, job.number, after)",
        "tests/app/test_stream.py",
    ),
    Mutant(
        "webhooks go to private addresses",
        "app/destinations.py",
        "            if not address.is_global or address.is_multicast:",
        "            if False:",
        "tests/app/test_webhooks.py",
    ),
    Mutant(
        "webhooks follow redirects",
        "app/messenger.py",
        "            if answer.is_redirect:",
        "            if False:",
        "tests/app/test_webhooks.py",
    ),
    Mutant(
        "a worker takes any machine's SQLite",
        "store/hosts.py",
        "(used_on := mark.read_text()) != (here := _this_host())",
        "not (used_on := mark.read_text()) + (here := _this_host())",
        "tests/store/test_hosts.py",
    ),
    Mutant(
        "a revoked key still opens",
        "store/keys.py",
        "USABLE = (api_keys.c.revoked_at.is_(None), or_(",
        "USABLE = (or_(",
        "tests/store/test_keys.py",
    ),
    Mutant(
        "a key may have any number of jobs",
        "store/keys.py",
        "    if found >= most:",
        "    if False:",
        "tests/store/test_keys.py",
    ),
    Mutant(
        "whoever comes from outside needs no key",
        "app/doorkeeper.py",
        "self._always or _comes_from_outside(scope)",
        "self._always",
        "tests/app/test_access.py",
    ),
    Mutant(
        "unknown keys are looked for without end",
        "app/doorkeeper.py",
        "        if not held.keyring.has_seen(digest):",
        "        if False:",
        "tests/app/test_access.py",
    ),
    Mutant(
        "shared caches keep what a key has opened",
        "app/doorkeeper.py",
        '                headers["Cache-Control"] = _private(headers.get("Cache-Control"))\n',
        "",
        "tests/app/test_headers.py",
    ),
    Mutant(
        "a name that was made to lead here is let in",
        "app/browsers.py",
        "    if not is_loopback(_name(host)):",
        "    if False:",
        "tests/app/test_headers.py",
    ),
    Mutant(
        "a page of another site cancels jobs",
        "app/browsers.py",
        '    if scope["method"] not in SAFE and not _is_near(headers):',
        "    if False:",
        "tests/app/test_headers.py",
    ),
    Mutant(
        "the quick way forgets what the application depends on",
        "app/main.py",
        "Depends(refuse_unknown_parameters)]",
        "Depends(refuse_unknown_parameters), Depends(lambda: None)]",
        "tests/app/test_quick.py",
    ),
    Mutant(
        "a key is good for everything",
        "app/access.py",
        "    if not holder.allows(scope):",
        "    if False:",
        "tests/app/test_access.py",
    ),
    Mutant(
        "a key is remembered for good",
        "app/memory.py",
        "entry.changes == changes and time.monotonic() - entry.at < seconds",
        "entry.changes == changes",
        "tests/app/test_access.py",
    ),
    Mutant(
        "a stream outlives its key",
        "app/routes/events.py",
        "            if event is not None and holder is not None and await held.keyring.holder(holder.digest) is None:",
        "            if False:",
        "tests/app/test_access.py",
    ),
    Mutant(
        "a backup is content with files that went while it was made",
        "store/backup.py",
        "            if failed <= missed:",
        "            if True:",
        "tests/store/test_backup.py",
    ),
    Mutant(
        "a restored service gives numbers again",
        "store/pouring.py",
        "        if each.autoincrement_column is not None:",
        "        if False:",
        "tests/store/test_backup.py",
    ),
    Mutant(
        "images cost nothing",
        "app/pictures.py",
        "    if holder is not None:",
        "    if False:",
        "tests/app/test_allowances.py",
    ),
    Mutant(
        "a change leaves no trace",
        "app/routes/jobs.py",
        '    audit.append(connection, by, "job.cancel", job_id)\n',
        "",
        "tests/app/test_keys.py",
    ),
    Mutant(
        "an image is taken that its head knows only where it stands",
        "app/serving/filters.py",
        "if confidence >= LEAST_CONFIDENCE:",
        "if confidence >= 0:",
        "tests/app/test_filters.py",
    ),
    Mutant(
        "a new SQLite file is opened without patience",
        "store/database.py",
        "& 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline",
        "& 0xFF == sqlite3.SQLITE_BUSY or time.monotonic() > deadline",
        "tests/store/test_database.py",
    ),
)


def main() -> int:
    """Try every mutant; print a line for each."""
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        _copy(copy)
        for mutant in MUTANTS:
            caught = _is_caught(mutant, copy)
            survivors += not caught
            print(f"{'red' if caught else 'NOT NOTICED':12} {mutant.name}", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} faults noticed")
    return 1 if survivors else 0


def _copy(target: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)


def _is_caught(mutant: Mutant, copy: Path) -> bool:
    """Break the copy, run the tests, and mend it. Red means that a test failed, not that none could be run."""
    file = copy / mutant.file
    sound = file.read_text()
    if sound.count(mutant.sound) != 1:
        raise SystemExit(f"{mutant.file} holds {sound.count(mutant.sound)} times, expected once: {mutant.sound}")
    file.write_text(sound.replace(mutant.sound, mutant.broken))
    try:
        every = ["-m", "not e2e and not gpu"]
        command = [sys.executable, "-m", "pytest", "-q", "-x", *every, "-p", "no:cacheprovider", *mutant.tests.split()]
        ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    finally:
        file.write_text(sound)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"the tests could not be run: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
