#!/usr/bin/env bash
# `make compose-check`: build docker-compose.yml, bring it up, run the tests against it, end it.
# On any Docker engine with compose v2; else with the script that GANYMEDE_COMPOSE_CHECK names, which brings its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Ports of its own, faults found in seconds, and the data sets of this machine.
export GANYMEDE_PORT=18700 GANYMEDE_PORT2=18701 PROMETHEUS_PORT=18790 COMPOSE_PROJECT_NAME=ganymede-check
export GANYMEDE_POLL_SECONDS=1 GANYMEDE_RETRY_SECONDS=0.5 GANYMEDE_LEASE_SECONDS=15 GANYMEDE_HEARTBEAT_SECONDS=1
# What `ganymede up` must pass too, and what only containers have. The others in tests/e2e start stacks of their own.
files="tests/e2e/test_compose.py tests/e2e/test_stack.py tests/e2e/test_readme.py tests/e2e/test_families.py"
tests="GANYMEDE_TEST_COMPOSE=1 .venv/bin/pytest -m e2e $files ${ARGS:-}"

if [ -n "${GANYMEDE_COMPOSE_CHECK:-}" ]; then
  exec "$GANYMEDE_COMPOSE_CHECK" --run "$tests" .
elif docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  trap 'docker compose down --volumes --remove-orphans --timeout 5' EXIT
  docker compose build
  started=$SECONDS
  docker compose up --detach --no-build --wait
  echo "== healthy after $((SECONDS - started)) s"
  bash -c "$tests"
else
  echo "compose-check: NOT RUN. It needs a Docker engine with compose v2, or GANYMEDE_COMPOSE_CHECK to name a script that brings one."
fi
