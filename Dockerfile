# Two images from one file: `api`, which has no torch, and `worker`, which trains.

FROM python:3.11-slim AS installed
# Where pip may also look, for the CPU build of torch say; see "Which build of torch" in README.md.
ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /srv
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN useradd --create-home ganymede && mkdir /state && chown ganymede /state
ENV GANYMEDE_HOME=/state PYTHONUNBUFFERED=1

# The dependencies come before the code, so that an edit does not install them anew.
FROM installed AS api
RUN pip install --no-cache-dir -c constraints.txt '.[api]'
COPY . .
RUN pip install --no-cache-dir --no-deps .
USER ganymede
ENV GANYMEDE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/readyz').raise_for_status()"]
CMD ["python", "-m", "uvicorn", "app.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--no-server-header"]

FROM installed AS worker
RUN pip install --no-cache-dir -c constraints.txt '.[worker]'
COPY . .
RUN pip install --no-cache-dir --no-deps .
USER ganymede
# Training children report through pipes; SIGTERM drains: a checkpoint is written and the job given back.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "worker"]
