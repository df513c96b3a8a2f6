# The digest names one build of the tag, for all platforms: a rebuild uses the same base, whatever the
# tag points to by then. Dependabot updates both lines, and with them the security fixes.
FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS builder

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

# What builds the wheel comes from a lock file as well: an isolated build would fetch it unpinned.
COPY .github/locks/build.txt ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes --no-deps -r build.txt

COPY pyproject.toml LICENSE README.md ./
COPY config/share ./config/share
COPY ovh_proxy ./ovh_proxy
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && pip --python /opt/ovh-proxy/bin/python install --no-deps --no-index /tmp/wheel/*.whl \
    && /opt/ovh-proxy/bin/python -m compileall -q /opt/ovh-proxy/lib


FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

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
