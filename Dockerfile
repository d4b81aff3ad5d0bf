# Two images from one file: `api`, which has no torch, and `worker`, which trains.
# Each stage `installed-…` has pip and what it downloads; of it the images take the virtual environment alone.

FROM python:3.11-slim AS base
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ganymede \
    && install --directory --mode 0750 --owner ganymede --group ganymede /state /data
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 GANYMEDE_HOME=/state GANYMEDE_DATA_DIR=/data
WORKDIR /srv

FROM base AS installing
# Where pip may also look, for the CPU build of torch say; see "Which build of torch" in README.md.
ARG PIP_EXTRA_INDEX_URL=""
RUN python -m venv --without-pip /srv/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
# The dependencies come before the code, so that an edit does not install them anew.

FROM installing AS installed-api
RUN --mount=type=cache,target=/root/.cache/pip pip --python /srv/venv/bin/python install -c constraints.txt '.[api]' \
    && find /srv/venv -type d -name tests -prune -exec rm -r {} +
COPY ganymede ganymede
COPY app app
COPY store store
COPY ganmodels ganmodels
RUN pip --python /srv/venv/bin/python install --no-deps --force-reinstall .

FROM installing AS installed-worker
RUN --mount=type=cache,target=/root/.cache/pip pip --python /srv/venv/bin/python install -c constraints.txt '.[worker]'
COPY ganymede ganymede
COPY worker worker
COPY store store
COPY ganmodels ganmodels
RUN pip --python /srv/venv/bin/python install --no-deps --force-reinstall .

FROM base AS api
COPY --from=installed-api /srv/venv /srv/venv
USER ganymede
ENV GANYMEDE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=3s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", \
    "--timeout-graceful-shutdown", "10", "--no-access-log", "--no-server-header"]

FROM base AS worker
COPY --from=installed-worker /srv/venv /srv/venv
USER ganymede
HEALTHCHECK --interval=3s --timeout=5s --start-period=30s CMD ["python", "-m", "worker.health"]
# SIGTERM drains: the job's checkpoint is written, and the job given back.
CMD ["python", "-m", "worker"]
