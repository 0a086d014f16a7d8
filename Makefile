# make demo: see it work. make test: prove it. Both install what is missing (Debian packages as root, npm, cargo).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
# Real NocoBase, cached between runs.
export WECOM_GATE_NOCOBASE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wecom-gate/nocobase-2.2.15

.PHONY: help demo test test-rust test-repeat test-browser peers chart lint deny fuzz fuzz-short mutants fmt bench bench-micro certs packages nocobase-packages nocobase docs

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: nocobase-packages ## WeCom simulator, a real NocoBase and the gate on this machine
	$(CARGO) run -p wecom-gate-demo

test: packages nocobase ## Every test: Rust, real NocoBase, Chromium
	$(MAKE) test-rust
	$(MAKE) test-browser

test-rust: ## Unit and integration tests
	$(CARGO) test --workspace --no-fail-fast

RUNS ?= 20
test-repeat: ## The Rust tests again and again on a busy machine (RUNS=...)
	./tests/setup/repeat.sh $(RUNS)

test-browser: packages nocobase ## Chromium against the real NocoBase through the gate
	$(CARGO) build -p wecom-gate -p wecom-sim
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	cd tests/browser && node --test --test-reporter=spec browser.test.mjs
	cd tests/browser && node --test --test-reporter=spec init.test.mjs
	cd tests/browser && node --test --test-reporter=spec nodes.test.mjs
	cd tests/browser && node --test --test-reporter=spec applications.test.mjs
	cd tests/browser && node --test --test-reporter=spec public_forms.test.mjs
	cd tests/browser && node --test --test-reporter=spec pages.test.mjs
	node --test tests/script tests/scale

peers: ## h2spec against the gate's HTTP/2 (needs go)
	./tests/peers/h2spec.sh

chart: ## The real helm over the Helm chart (needs go where helm is missing)
	./tests/peers/helm.sh

lint: ## Format, clippy, documentation warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

deny: ## Licences, sources, bans, advisories of the dependencies
	./tests/setup/deny.sh

fuzz-short: nocobase-packages ## Each fuzz target for a few seconds
	./fuzz/run.sh 4

SECONDS_EACH ?= 600
fuzz: nocobase-packages ## Each fuzz target for ten minutes (SECONDS_EACH=...)
	./fuzz/run.sh $(SECONDS_EACH)

FOLDER ?= decide
mutants: ## What of a folder of src/ no unit test notices (FOLDER=... SHARD=K/N)
	./tests/setup/mutants.sh $(FOLDER) $(SHARD)

bench: ## Side by side with bare Pingora and nginx: ratios and medians
	./benches/compare/run.sh

bench-micro: ## Criterion: decision core, cookies, token swap
	$(CARGO) bench

certs: ## A certificate for development in certs/
	$(CARGO) run -- certs --dir certs

packages: ## Debian packages that the tests use
	@./tests/setup/packages.sh chromium fonts-noto-cjk nginx caddy haproxy prometheus postgresql redis-server

nocobase-packages:
	@./tests/setup/packages.sh

nocobase: ## A real NocoBase 2.2.15 from npm (about 3 minutes and 1.2 GB the first time)
	@./demo/nocobase.sh install "$(WECOM_GATE_NOCOBASE)"
