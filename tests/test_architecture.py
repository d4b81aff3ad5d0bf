"""The architecture, executable: who imports whom, who loads torch, and whether the README still tells the truth."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The diagram. A package may import itself and what stands here; `a.b` allows that one module of `a`.
ALLOWED_IMPORTS: dict[str, set[str]] = {
    "ganymede": set(),
    "app": {"store", "ganmodels.specs"},
    "worker": {"store", "ganmodels"},
    "store": {"ganmodels.specs"},
    "ganmodels": set(),
}
MAY_COMMIT = {"store/database.py"}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "handlers", "misc"}

# Files of `app` with `async def`, each with its reason. Whoever reads or writes waits in a thread, not in the loop.
ASYNC_FILES: dict[str, str] = {
    "app/destinations.py": "looks names up without a thread each, for the messenger",
    "app/messenger.py": "a loop of its own, in a thread of its own, tells many webhooks at once",
    "app/broadcast.py": "listeners wait for the next event on the loop, without a thread each; it reads in threads",
    "app/memory.py": "answers on the loop; it looks into the database in a thread",
    "app/serving/catalog.py": "answers from memory on the loop; it looks into the database in a thread",
    "app/serving/studio.py": "takes orders on the loop and draws there what is brief; its threads draw the rest",
    "app/pictures.py": "waits for the catalog and the studio",
    "app/routes/samples.py": "waits for a picture",
    "app/routes/interpolations.py": "waits for pictures",
    "app/routes/events.py": "writes what the broadcast tells",
    "app/main.py": "the lifespan opens and closes what the process holds, in a thread",
    "app/errors.py": "the framework calls its exception handlers on the loop; they only phrase an answer",
    "app/requests.py": "the middleware hands messages on, and a body is waited for",
    "app/resources.py": "hands out what the process holds already; transactions are opened in threads",
    "app/quick.py": "reads the URL and calls what would wait itself",
    "app/access.py": "looks at the key that came; a thread would cost more than the look",
    "app/allowances.py": "counts in memory, with a library that is asynchronous",
    "app/doorkeeper.py": "the middleware hands messages on, and the keyring is waited for",
    "app/keyring.py": "answers from memory on the loop; it looks into the database in a thread",
    "app/parameters.py": "looks at the URL alone; a thread would cost more than the look",
}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(path: Path) -> Iterator[str]:
    """Give every imported module by its full name; `from a import b` gives `a.b`, which may be a module or a name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(package: str, imported: str) -> bool:
    allowed = ALLOWED_IMPORTS[package] | {package}
    return any(imported == name or imported.startswith(f"{name}.") for name in allowed)


def calls_in(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("package", ALLOWED_IMPORTS)
def test_imports_point_downwards(package: str) -> None:
    ours = {
        (name_of(path), imported)
        for path in modules(package)
        for imported in imports_of(path)
        if imported.partition(".")[0] in ALLOWED_IMPORTS
    }
    assert {(path, imported) for path, imported in ours if not is_allowed(package, imported)} == set()


def test_the_diagram_names_every_package() -> None:
    assert set(ALLOWED_IMPORTS) == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}


@pytest.mark.parametrize("module", ["app.main", "worker.main", "worker.__main__", "ganymede.command", "app.operate"])
def test_only_a_training_child_loads_torch(module: str) -> None:
    script = f"import sys, {module}; print([name for name in sys.modules if name.partition('.')[0] == 'torch'])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_one_place_commits() -> None:
    committing = {
        name_of(path) for path in modules(*ALLOWED_IMPORTS) for call, _ in calls_in(path) if call.endswith(".commit")
    }
    assert committing == MAY_COMMIT


def test_nothing_pickles() -> None:
    every = modules(*ALLOWED_IMPORTS, "benchmarks", "tests")
    imported = {
        (name_of(path), name) for path in every for name in imports_of(path) if name.partition(".")[0] in PICKLES
    }
    called = {
        (name_of(path), call)
        for path in every
        for call, node in calls_in(path)
        if call in {"torch.save", "torch.load"} or _allows_pickle(node)
    }
    assert imported | called == set()


def _allows_pickle(call: ast.Call) -> bool:
    return any(
        keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in call.keywords
    )


def test_routes_wait_in_threads() -> None:
    found = {
        name_of(path)
        for path in modules("app")
        if any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree_of(path)))
    }
    assert found == set(ASYNC_FILES)


def test_no_module_has_a_vague_name() -> None:
    assert {name_of(path) for path in modules(*ALLOWED_IMPORTS) if VAGUE_NAMES & {path.stem, path.parent.name}} == set()


def readme_tree() -> dict[str, str]:
    """Read the README's tree: a path for each line, and what it says of it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## The tree\n.*?^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block, "README.md has no tree"
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        entry, _, role = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], entry]
        found["".join(folders)] = role.strip()
    return found


def test_the_readme_tree_matches_the_folders() -> None:
    told = {path for path in readme_tree() if path.endswith(".py") and path.partition("/")[0] in ALLOWED_IMPORTS}
    there = {
        name_of(path)
        for path in modules(*ALLOWED_IMPORTS)
        if path.name != "__init__.py" and "versions" not in path.parts
    }
    assert told == there


def test_every_line_of_the_readme_tree_exists_and_has_a_role() -> None:
    told = readme_tree()
    assert [path for path in told if not (ROOT / path).exists()] == []
    assert [path for path, role in told.items() if not role] == []


def test_every_setting_is_documented() -> None:
    from store.settings import Settings

    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(GANYMEDE_\w+)` \| (.*) \|$", text, re.MULTILINE))
    expected = {
        str(field.validation_alias or f"GANYMEDE_{name.upper()}"): f"{_default(field.default)} | {field.description}"
        for name, field in Settings.model_fields.items()
    }
    assert {name: told.get(name) for name in expected} == expected


def _default(value: object) -> str:
    return "–" if value is None else f"`{value}`"


def test_every_family_is_documented() -> None:
    from ganmodels.specs import FAMILIES

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in FAMILIES if f"| `{name}` |" not in text] == []


def test_every_decision_names_the_test_that_enforces_it() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", record.read_text(encoding="utf-8"))
        assert named, f"{record.name} names no test"
        for path, test in named:
            assert (ROOT / path).exists(), f"{record.name}: no {path}"
            assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{record.name}: no {test}"


def test_continuous_integration_runs_the_developers_own_commands() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    targets = re.search(r"for target in ([\w -]+); do", text)
    assert targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in targets[1].split() if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
