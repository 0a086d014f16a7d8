# make demo: see it work. make test: run all tests. Both install what is missing (Debian packages as root, npm, cargo).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
# Real NocoBase, cached between runs.
export WECOM_GATE_NOCOBASE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wecom-gate/nocobase-2.2.15

.PHONY: help demo test test-rust test-repeat test-browser peers acme chart lint deny fuzz fuzz-short mutants fmt bench bench-micro bench-pages bench-nine-oclock certs packages nocobase-packages nocobase docs release package-files deb dist image test-package

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
test-repeat: ## The Rust tests repeatedly on a busy machine (RUNS=...)
	./tests/setup/repeat.sh $(RUNS)

test-browser: packages nocobase ## Chromium against the real NocoBase through the gate
	$(CARGO) build -p wecom-gate -p wecom-sim -p wecom-gate-demo
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	cd tests/browser && node --test --test-reporter=spec demo.test.mjs
	cd tests/browser && node --test --test-reporter=spec browser.test.mjs
	cd tests/browser && node --test --test-reporter=spec init.test.mjs
	cd tests/browser && node --test --test-reporter=spec nodes.test.mjs
	cd tests/browser && node --test --test-reporter=spec applications.test.mjs
	cd tests/browser && node --test --test-reporter=spec public_forms.test.mjs
	cd tests/browser && node --test --test-reporter=spec pages.test.mjs
	node --test tests/script tests/scale

peers: ## h2spec against the gate's HTTP/2 (needs go)
	./tests/peers/h2spec.sh

acme: ## Certificates from the real Pebble (needs go)
	./tests/peers/pebble.sh

.PHONY: traefik
traefik: ## The example for Traefik with the real one (needs go where traefik is missing)
	./tests/peers/traefik.sh

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
mutants: ## Which changes in a folder of src/ no test detects (FOLDER=... SHARD=K/N)
	./tests/setup/mutants.sh $(FOLDER) $(SHARD)

bench: ## Side by side with bare Pingora, nginx, oauth2-proxy and mod_auth_openidc (needs go)
	REMAP="$(REMAP)" ./benches/compare/run.sh

bench-pages: packages nocobase ## Page loads in Chromium, NocoBase alone and through the gate (RUNS=..., NETWORKS=...)
	$(CARGO) build --release -p wecom-gate
	$(CARGO) build -p wecom-sim
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	WECOM_GATE_BIN="$${CARGO_TARGET_DIR:-target}/release/wecom-gate" node benches/pages/pages.mjs

bench-nine-oclock: packages nocobase ## 200 members open NocoBase within a minute, NocoBase alone and through the gate (MEMBERS=...)
	$(CARGO) build --release -p wecom-gate
	$(CARGO) build -p wecom-sim
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	WECOM_GATE_BIN="$${CARGO_TARGET_DIR:-target}/release/wecom-gate" node benches/pages/nine_oclock.mjs

.PHONY: fleet fleet-short
fleet: ## Thousands of people at several gates, NocoBase, WeCom and Redis in trouble (needs go)
	./benches/fleet/run.sh

fleet-short: ## The same with few people, within a minute
	./benches/fleet/run.sh --quick

bench-micro: ## Criterion: decision core, cookies, token swap, text
	$(CARGO) bench

VERSION = $(shell $(CARGO) pkgid -p wecom-gate | sed 's/.*[\#@]//')
ARCH = $(shell dpkg --print-architecture 2>/dev/null || uname -m)
# Must not show where this machine keeps its crates: paths in messages are those of the package.
REMAP = --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/wecom-gate

release: nocobase-packages ## The program as it is released, optimised for what it does: target/release/wecom-gate
	REMAP="$(REMAP)" ./benches/release/build.sh

target/release/wecom-gate: $(shell find src conf/wecom-gate.toml Cargo.toml Cargo.lock -type f)
	$(MAKE) release
	touch $@

package-files: target/release/wecom-gate
	rm -rf target/package/man target/package/completions && mkdir -p target/package/completions
	sed 's,/usr/local/bin/,/usr/bin/,' conf/wecom-gate.service > target/package/wecom-gate.service
	target/release/wecom-gate man --dir target/package/man
	target/release/wecom-gate completions bash > target/package/completions/wecom-gate
	target/release/wecom-gate completions zsh > target/package/completions/_wecom-gate
	target/release/wecom-gate completions fish > target/package/completions/wecom-gate.fish

deb: package-files ## A Debian package in target/debian (needs: cargo install cargo-deb)
	$(CARGO) deb --no-build --no-strip $(if $(DEB_VERSION),--deb-version $(DEB_VERSION)) $(if $(DEB),--output $(DEB))

dist: package-files ## A tarball with its checksum in target/dist
	rm -rf target/dist && mkdir -p target/dist/wecom-gate-$(VERSION)
	cp -r target/release/wecom-gate target/package/man target/package/completions conf docs README.md CHANGELOG.md LICENSE \
	    target/dist/wecom-gate-$(VERSION)
	cd target/dist && tar --owner=0 --group=0 --numeric-owner --sort=name -czf wecom-gate-$(VERSION)-linux-$(ARCH).tar.gz wecom-gate-$(VERSION)
	rm -r target/dist/wecom-gate-$(VERSION)
	cd target/dist && sha256sum *.tar.gz > SHA256SUMS && cat SHA256SUMS

image: target/release/wecom-gate ## A container image in target/dist, made without a registry (as root)
	@./tests/setup/packages.sh buildah debootstrap
	./conf/image.sh target/release/wecom-gate $(VERSION) target/dist/wecom-gate-$(VERSION)-linux-$(ARCH).image.tar

test-package: nocobase ## The package in a clean Debian: install, init, upgrade under load, remove (as root)
	@./tests/setup/packages.sh debootstrap
	$(CARGO) build -p wecom-sim
	$(MAKE) deb DEB_VERSION=$(VERSION)-1 DEB=target/package/old.deb
	$(MAKE) deb DEB_VERSION=$(VERSION)-2 DEB=target/package/new.deb
	./tests/package.sh target/package/old.deb target/package/new.deb

certs: ## A certificate for development in certs/
	$(CARGO) run -- certs --dir certs

packages: ## Debian packages that the tests use
	@./tests/setup/packages.sh chromium fonts-noto-cjk nginx caddy haproxy prometheus postgresql redis-server

nocobase-packages:
	@./tests/setup/packages.sh

nocobase: ## A real NocoBase 2.2.15 from npm (about 3 minutes and 1.2 GB the first time)
	@./demo/nocobase.sh install "$(WECOM_GATE_NOCOBASE)"
