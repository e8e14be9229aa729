# Two stages: the first compiles the wheel, the second installs it, and asgi.py for `uvicorn asgi:app`. What comes from the
# package index is what requirements/ names, by version and hash.
# RUN and COPY use paths relative to WORKDIR, so that `make image-check` can run these very steps without Docker.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements/build.txt requirements/build.txt
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY LICENSE MANIFEST.in README.md pyproject.toml setup.py ./
COPY src src
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist .

FROM ${PYTHON_IMAGE}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --no-create-home --uid 10001 fastbridge && install -d -o fastbridge -m 0700 /data
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt && rm -r requirements
COPY --from=build /build/dist dist
RUN python -m pip install --no-cache-dir --no-deps dist/*.whl && rm -r dist && python -m pip check
COPY asgi.py asgi.py
USER fastbridge
EXPOSE 5050
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; h = os.environ.get('FASTBRIDGE_HOST', '').strip(); h = '127.0.0.1' if h in ('', '0.0.0.0', '::') else '[' + h + ']' if ':' in h else h; r.urlopen('http://' + h + ':' + os.environ.get('PORT', '5050') + '/healthz', timeout=2)"]
CMD ["fastbridge", "serve"]
