FROM python:3.13-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# The environment has no pip of its own: the image runs the program and installs nothing.
RUN python -m venv --without-pip /opt/ovh-proxy
WORKDIR /src

# Dependencies first: this layer changes only when the lock file does.
COPY requirements.lock ./
RUN pip --python /opt/ovh-proxy/bin/python install --require-hashes --no-deps -r requirements.lock

COPY pyproject.toml LICENSE README.md ./
COPY ovh_proxy ./ovh_proxy
RUN pip --python /opt/ovh-proxy/bin/python install --no-deps . \
    && /opt/ovh-proxy/bin/python -m compileall -q /opt/ovh-proxy/lib


FROM python:3.13-slim

LABEL org.opencontainers.image.title="ovh-proxy" \
      org.opencontainers.image.description="A local proxy that signs requests to the OVHcloud API" \
      org.opencontainers.image.licenses="BSD-3-Clause"

# The bytecode is in the image, and its root may be mounted read-only.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY --from=builder /opt/ovh-proxy /opt/ovh-proxy

# A number, so that Kubernetes can check `runAsNonRoot`; it needs no entry in /etc/passwd.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/opt/ovh-proxy/bin/ovh-proxy", "healthcheck"]
ENTRYPOINT ["/opt/ovh-proxy/bin/ovh-proxy"]
CMD ["run"]
