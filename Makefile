# Each target installs what it needs on Debian and Ubuntu, and elsewhere says what to install (.ci/need).
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOLS := $(CURDIR)/target/tools
BUILT := $(or $(CARGO_TARGET_DIR),target)
export PATH := $(TOOLS)/bin:$(TOOLS)/nextest/bin:$(PATH)

.PHONY: help run test test-long fuzz-api check bench bench-sourcing

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: ## The bookstore with two warehouses on http://127.0.0.1:8080, data in ./data
	@.ci/need rust cc
	cargo run --release

# The services that end-to-end tests start are built first, with the tests, so that everything is compiled once. One PostgreSQL serves all.
test: ## Every test, on SQLite and on a private PostgreSQL
	@.ci/need rust cc nextest postgres schemathesis chromium
	cargo build --workspace --bins --tests --features failpoints
	$(BUILT)/debug/with-postgres bash -ec 'cargo nextest run --workspace --features failpoints; cargo test --doc --workspace --features failpoints'

fuzz-api: ## Both services against a fuzzer that reads their OpenAPI: 200 examples an operation, as everybody
	@.ci/need rust cc nextest postgres schemathesis
	cargo build --workspace --bins --tests --features failpoints
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} NEXTEST_PROFILE=long $(BUILT)/debug/with-postgres \
		cargo nextest run -p bookstore --features failpoints --no-capture -E 'test(fuzz_api::)'

test-long: ## The same with every case of the long matrices
	@LONG=1 NEXTEST_PROFILE=long $(MAKE) --no-print-directory test

check: ## Format, lints, documentation, licences and known vulnerabilities
	@.ci/need rust rust_components cc deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features failpoints -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	cargo deny check bans licenses sources
	@if cargo deny fetch db; then cargo deny check advisories; else echo 'advisories were NOT checked: their database could not be fetched'; fi

bench: ## Orders a second, beside what the database could do at most
	@.ci/need rust cc postgres wrk
	cargo build --release --workspace --bins
	$(BUILT)/release/with-postgres cargo bench --bench orders

bench-sourcing: ## How long it takes to choose warehouses for an order, and how often that is exact
	@.ci/need rust cc
	cargo bench --bench sourcing
