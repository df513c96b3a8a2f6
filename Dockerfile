# The tag includes the Debian release, so it changes only with this line. Each rebuild gets the
# latest security fixes; docs/deployment.md explains how to pin the image by digest.
FROM python:3.13-slim-trixie AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# Only for `strip`, and only in this stage: any version works.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*

# The virtual environment has no pip: the image runs the program and installs nothing.
RUN python -m venv --without-pip /opt/ovh-proxy
WORKDIR /src

# Dependencies first: this layer changes only when the lock file does.
# Debug information makes up five sixths of the libraries in wheels.
COPY requirements-lock.txt ./
RUN pip --python /opt/ovh-proxy/bin/python install --require-hashes --no-deps -r requirements-lock.txt \
    && find /opt/ovh-proxy -name '*.so' -exec strip --strip-unneeded {} +

COPY pyproject.toml LICENSE README.md ./
COPY config/share ./config/share
COPY ovh_proxy ./ovh_proxy
RUN pip --python /opt/ovh-proxy/bin/python install --no-deps . \
    && /opt/ovh-proxy/bin/python -m compileall -q /opt/ovh-proxy/lib


FROM python:3.13-slim-trixie

# The image contains the bytecode, and its root may be mounted read-only.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY --from=builder /opt/ovh-proxy /opt/ovh-proxy

# The base image includes pip, which the program does not need. It lacks the bytecode of the standard
# library, so every start and every health check would compile it again: this run writes the bytecode
# that is used. The directory is for a unix socket: a volume mounted there gets its owner.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip \
        /usr/local/lib/python3.*/site-packages/pip* \
    && export PYTHONDONTWRITEBYTECODE="" \
    && /opt/ovh-proxy/bin/ovh-proxy demo --once >/dev/null \
    && /opt/ovh-proxy/bin/python -c "import prometheus_client" \
    && install -d -o 65532 -g 65532 /run/ovh-proxy

# A numeric user, so that Kubernetes can check `runAsNonRoot`; it needs no entry in /etc/passwd.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/opt/ovh-proxy/bin/ovh-proxy", "healthcheck"]
ENTRYPOINT ["/opt/ovh-proxy/bin/ovh-proxy"]
CMD ["run"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ovh-proxy" \
      org.opencontainers.image.description="A local proxy that signs requests to the OVHcloud API" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
