# Build: the locked dependencies and the package, into a virtual environment of their own.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/maia-exporter
COPY requirements.lock ./
RUN /opt/maia-exporter/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE config.toml ./
COPY exporter ./exporter
RUN /opt/maia-exporter/bin/pip install --no-cache-dir --no-deps . \
 && /opt/maia-exporter/bin/pip uninstall --yes pip \
 && sed -i 's#sqlite:///maia-exporter.db#sqlite:////data/maia-exporter.db#' config.toml

# Run: no build tools, no root. The record is in /data, the config is mounted at /etc/maia-exporter/config.toml.
FROM python:3.13-slim
LABEL org.opencontainers.image.title="Maia Exporter" \
      org.opencontainers.image.description="Prometheus metrics, alerts and run-time limits for pipelines on Maia" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/maia-exporter /opt/maia-exporter
COPY --from=build /src/config.toml /etc/maia-exporter/config.toml
RUN useradd --system --uid 10001 --no-create-home maia && mkdir /data && chown maia /data
ENV PATH=/opt/maia-exporter/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
VOLUME /data
EXPOSE 9986
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9986/-/healthy', timeout=4)"]
ENTRYPOINT ["maia-exporter"]
CMD ["run", "--config", "/etc/maia-exporter/config.toml"]
