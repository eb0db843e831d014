# Each target installs what it needs on Debian and Ubuntu, and elsewhere says what to install (.ci/need).
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOLS := $(CURDIR)/target/tools
BUILT := $(or $(CARGO_TARGET_DIR),target)
export PATH := $(TOOLS)/bin:$(TOOLS)/nextest/bin:$(TOOLS)/deny/bin:$(PATH)

.PHONY: help run up up-local down logs psql-store psql-alpha psql-beta certificate test test-databases test-docker test-long fuzz-api image check bench bench-sourcing

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

run: ## The bookstore with two warehouses on http://127.0.0.1:8080, data in ./data
	@.ci/need rust cc
	cargo run --release

# Secrets of its own, and the demo: what is in it is never printed.
.env:
	@umask 077 && { for name in SERVICE_SECRET STORE_DB_PASSWORD WAREHOUSE_ALPHA_DB_PASSWORD WAREHOUSE_BETA_DB_PASSWORD; do \
		echo "$$name=$$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')"; done; echo SEED_DEMO=true; } >$@.new && mv $@.new $@
	@echo 'Made .env with secrets of its own, for the demo. Without demo accounts: SEED_DEMO=false, ADMIN_EMAIL and ADMIN_PASSWORD (.env.example).'

up: .env ## The bookstore behind Traefik in containers: http://api.localhost, dashboard on http://localhost:8080
	@.ci/need docker
	docker compose up --build --detach --wait
	@traefik/welcome

up-local: ## The same without Docker: http://api.localhost:8000, data in ./data/local; TLS=1 for HTTPS on 8443
	@.ci/need rust cc postgres traefik openssl curl
	cargo build --release --workspace --bins
	@traefik/up-local

down: ## Stops the containers; their data stays (with ARGS=--volumes it goes)
	docker compose down $(ARGS)

logs: ## What the containers log, as it comes (of one: ARGS=store-api)
	docker compose logs --follow --tail 100 $(ARGS)

psql-store: ## SQL in the store's database
	docker compose exec store-db psql -U storeuser -d store_db

psql-alpha: ## SQL in warehouse alpha's database
	docker compose exec warehouse-alpha-db psql -U warehouseuser -d warehouse_alpha_db

psql-beta: ## SQL in warehouse beta's database
	docker compose exec warehouse-beta-db psql -U warehouseuser -d warehouse_beta_db

certificate: ## A local certificate for HTTPS, for HOSTS (api.localhost)
	@.ci/need openssl
	@traefik/certificate $(HOSTS)

# The services that end-to-end tests start are built first, with the tests, so that everything is compiled once. One PostgreSQL serves all.
test: ## Every test, on SQLite and on a private PostgreSQL
	@.ci/need rust cc nextest postgres postgres_16 postgres_18 schemathesis chromium traefik check_jsonschema bwrap openssl curl
	cargo build --workspace --bins --tests --features failpoints
	PROFILE=dev .ci/image
	$(BUILT)/debug/with-postgres bash -ec 'cargo nextest run --workspace --features failpoints; cargo test --doc --workspace --features failpoints'
	@$(MAKE) --no-print-directory test-databases EXCEPT="$$(.ci/need postgres_bin)"

# What is said to a database, on each PostgreSQL that can be had from a registry: Debian's, that of compose.yml, and the newest.
test-databases: ## The tests of SQL alone, on every PostgreSQL there is (15, 16 and 18)
	@.ci/need rust cc nextest postgres postgres_16 postgres_18
	cargo build --workspace --bins --tests --features failpoints
	@set -e; .ci/need postgres_bins | grep -vxF "$(EXCEPT)" | while read -r bin; do echo "On $$("$$bin/postgres" --version)"; \
		PG_BIN="$$bin" $(BUILT)/debug/with-postgres cargo nextest run --workspace --features failpoints \
			-E 'package(migrations) or (binary(it) and package(/^(service|warehouse)$$/)) or test(/(^|::)(db|database)::/)'; done

test-docker: .env ## All of compose.yml on this machine's Docker: its images, networks, restarts (5 minutes)
	@.ci/need rust cc nextest docker openssl curl
	docker compose build
	cargo nextest run -p bookstore --features failpoints,docker --no-capture -E 'test(/^deployment::containers::/)'

image: ## The steps of the Dockerfile without Docker, into target/image
	@.ci/need rust cc
	.ci/image

fuzz-api: ## Both services against a fuzzer that reads their OpenAPI: 200 examples an operation, as everybody
	@.ci/need rust cc nextest postgres schemathesis
	cargo build --workspace --bins --tests --features failpoints
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} NEXTEST_PROFILE=long $(BUILT)/debug/with-postgres \
		cargo nextest run -p bookstore --features failpoints --no-capture -E 'test(fuzz_api::)'

test-long: ## The same with every case of the long matrices
	@LONG=1 NEXTEST_PROFILE=long $(MAKE) --no-print-directory test

check: ## Format, lints, documentation, licences and known vulnerabilities
	@.ci/need rust rust_components cc deny shellcheck check_jsonschema
	cargo fmt --all --check
	shellcheck --external-sources .ci/need .ci/run traefik/certificate traefik/proxy-local traefik/up-local traefik/welcome
	$(TOOLS)/check-jsonschema/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yml traefik/compose.tls.yml
	$(TOOLS)/check-jsonschema/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	cargo clippy --workspace --all-targets --features failpoints,docker -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	cargo deny check bans licenses sources
	@if cargo deny fetch db; then cargo deny check advisories; else echo 'advisories were NOT checked: their database could not be fetched'; fi

bench: ## Orders a second, beside what the database could do at most, and what Traefik costs
	@.ci/need rust cc postgres wrk traefik
	cargo build --release --workspace --bins
	$(BUILT)/release/with-postgres cargo bench --bench orders

bench-sourcing: ## How long it takes to choose warehouses for an order, and how often that is exact
	@.ci/need rust cc
	cargo bench --bench sourcing
