BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: check test coverage lint types imports format demo bench conformance soak mutation image lock share

check: lint types imports coverage

# Plain pytest; select tests with ARGS, for example `make test ARGS='tests/core -n 0'`.
test: .venv/dev
	$(BIN)/pytest $(ARGS)

coverage: .venv/dev
	$(BIN)/pytest --cov $(ARGS)
	$(BIN)/coverage report --include="$$($(BIN)/python tests/mutation/pure.py)" --fail-under=100

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

imports: .venv/dev
	$(BIN)/lint-imports

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: .venv/dev
	$(BIN)/ovh-proxy demo

# Takes most of an hour; `make bench ARGS=--quick` takes minutes, ARGS=--help lists all options.
bench: .venv/dev
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

# Takes several minutes; needs nginx, haproxy and slowhttptest. ARGS='--write docs/conformance.md' updates the page.
conformance: .venv/dev
	$(BIN)/python tests/conformance/run.py $(ARGS)

# OVH_PROXY_SOAK_S sets the duration in seconds, 600 by default; ARGS=tests/soak skips the fuzzing.
soak: .venv/dev
	$(BIN)/pytest -m soak -n 0 -s $(ARGS)

# Takes most of an hour; ARGS='ovhcloud/signature.py core/target.py' mutates only these files.
mutation: .venv/dev
	$(BIN)/python tests/mutation/run.py $(ARGS)

image:
	docker build --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' ovh_proxy/__init__.py)" \
		--build-arg REVISION="$$(git rev-parse HEAD)" --tag ovh-proxy .

# The manual page and the shell completions that packages install.
share: .venv/dev
	$(BIN)/python tests/packaging/make_share.py config/share

# The npm clients that tests run, with a Node that reads proxy variables.
.venv/node: .venv/dev
	mkdir -p $@
	echo '{}' >$@/package.json
	cd $@ && npm install --silent --no-audit --no-fund ovh @ovhcloud/node-ovh node@24 || { rm -r ../node; false; }
	@touch $@

# The pinned dependencies of the image.
lock: .venv/dev
	$(LOCK) pyproject.toml --output-file requirements-lock.txt
	$(LOCK) .github/locks/build.in --output-file .github/locks/build.txt
	$(LOCK) .github/locks/release.in --output-file .github/locks/release.txt

# The virtual environment for all targets above: created if missing, updated when pyproject.toml changes.
.venv/dev: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
