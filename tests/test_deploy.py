"""What deploy/ watches: every query of the alerts and the dashboard asks for what the service tells."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.main import create_app
from store import claims, workers
from store.claims import Failure
from store.settings import Settings
from store.workers import Memory
from tests.app.world import LOOPBACK, World

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring"}
PROMETHEUS_OWN = {"up": {"job", "instance"}}
SCRAPED = {"job", "instance"}  # labels that Prometheus adds to whatever it scrapes


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Let a bit of everything happen, then scrape."""
    folder = tmp_path_factory.mktemp("home")
    world = World(Settings(home=folder, redis_url=f"redis+socket://{folder}/nobody.sock"))
    world.trained(100)
    held = world.start()
    with world.database.write() as connection:
        claims.fail(connection, held, Failure("io", "disk full", 0, retryable=False), timedelta(0))
        workers.announce(connection, "worker-1", "host", 7, "cuda:0", Memory(1 << 30, 80 << 30))
    with TestClient(create_app(world.settings), LOOPBACK) as client:
        assert client.get("/sample").status_code == 200
        text = client.get("/metrics").text
    world.database.close()
    return text


@pytest.fixture(scope="module")
def told(exposition: str) -> dict[str, set[str]]:
    """Return the labels of each metric that the service tells."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries() -> Iterator[str]:
    rules = yaml.safe_load(RULES.read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    dashboard = json.loads(DASHBOARD.read_text())
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])


def asked_by(query: str) -> Iterator[tuple[str, set[str]]]:
    """Give each metric that a query names, with the labels that it is narrowed by."""
    query = re.sub(r"\[[^]]*\]", "", query)
    query = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", query)
    for name, matchers in re.findall(r"\b([a-z_][a-z0-9_]*)\b(?!\s*\(|\w*\s*[=!]~?\")(\{[^}]*\})?", blank(query)):
        if name not in WORDS:
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def blank(query: str) -> str:
    """Empty every string, so that what stands in it is not taken for a name."""
    return re.sub(r'"[^"]*"', '""', query)


def test_the_names_in_a_query_are_found() -> None:
    query = 'sum by (le) (rate(a_total{b=~"c|d",e="f"}[5m])) / max(g) > 0.5 and up{h="a_total"} == 0'
    assert list(asked_by(query)) == [("a_total", {"b", "e"}), ("g", set()), ("up", {"h"})]


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_what_is_asked_for_is_told(query: str, told: dict[str, set[str]]) -> None:
    names = dict(asked_by(query))
    assert names
    for name, labels in names.items():
        assert name in told or name in PROMETHEUS_OWN, name
        assert labels <= told.get(name, set()) | SCRAPED, name
    for grouped in re.findall(r"\bby\s*\(([^)]*)\)", query):
        some = set().union(*(told.get(name, set()) for name in names))
        assert {label.strip() for label in grouped.split(",")} <= some | SCRAPED


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_what_a_query_is_narrowed_to_exists(query: str, exposition: str) -> None:
    for label, value in re.findall(r'(\w+)="([^"]*)"', query):
        if label not in SCRAPED:
            assert f'{label}="{value}"' in exposition


def test_every_metric_of_ours_is_looked_at(told: dict[str, set[str]]) -> None:
    looked_at = {name for query in queries() for name, _ in asked_by(query)}
    ours = {name for name in told if name.startswith("ganymede_")} - {
        f"ganymede_http_request_duration_seconds_{part}" for part in ("count", "sum")
    }
    assert ours == {name for name in looked_at if name.startswith("ganymede_")}


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in dashboard["panels"]})


def promtool(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool, which comes with Prometheus, on PATH")
    return subprocess.run(["promtool", *words], input=said, capture_output=True, text=True, check=False)


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    answer = promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_promtool_accepts_what_is_told(exposition: str) -> None:
    answer = promtool("check", "metrics", said=exposition)
    assert answer.returncode == 0, answer.stdout + answer.stderr
