# docker build --build-arg REVISION=$(git rev-parse HEAD) -t maia-exporter .

# Build: the locked dependencies and the package, into a virtual environment of their own.
FROM python:3.13-slim AS build
ARG REVISION=unknown
WORKDIR /src
RUN python -m venv /opt/build && python -m venv --without-pip /opt/maia-exporter
COPY requirements.lock requirements-dev.lock ./
# The one build tool, in the locked version: the line of setuptools and its hashes.
RUN sed -n '/^setuptools==/,/^ *#/p' requirements-dev.lock > requirements-build.lock
RUN /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-build.lock
RUN /opt/build/bin/python -m pip --python /opt/maia-exporter install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE config.toml ./
COPY exporter ./exporter
RUN echo "$REVISION" > exporter/revision \
 && /opt/build/bin/python -m pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /opt/build/wheels . \
 && /opt/build/bin/python -m pip --python /opt/maia-exporter install --no-index --no-deps /opt/build/wheels/*.whl \
 && sed -i 's#sqlite:///maia-exporter.db#sqlite:////data/maia-exporter.db#' config.toml

# Run: no build tools, no root. The record is in /data, the config is mounted at /etc/maia-exporter/config.toml.
FROM python:3.13-slim
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Maia Exporter" \
      org.opencontainers.image.description="Prometheus metrics, alerts and run-time limits for pipelines on Maia" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
 && rm -rf "$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" \
 && useradd --system --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin maia \
 && mkdir /data && chown maia: /data
COPY --from=build /opt/maia-exporter /opt/maia-exporter
COPY --from=build /src/config.toml /etc/maia-exporter/config.toml
ENV PATH=/opt/maia-exporter/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 9986
# Works with and without TLS; a service that listens elsewhere needs its address as one more word.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["python", "-I", "-m", "exporter.cli.probe"]
ENTRYPOINT ["maia-exporter"]
CMD ["run", "--config", "/etc/maia-exporter/config.toml"]
