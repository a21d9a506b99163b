# What people type. Each target says in one line what it is for; `make` alone lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help demo build test lint tour bench ctk crash fuzz soak release

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Run the hub with stand-ins and play payment -> mint -> notification
	@target/debug/nexus demo

build: ## Build the nexus binary into target/debug
	@scripts/tools
	$(CARGO) build --locked -p nexus

test: ## Everything a change must pass: format, lints, tests, README tour, demo
	@scripts/test

lint: ## Format check and clippy, warnings are errors
	@scripts/test format lint

tour: build ## Run the README's tour as printed, against a fresh hub
	@scripts/tour

bench: ## Measure, with the raw limits beside it (docs/performance.md)
	$(CARGO) build --locked --release -p nexus -p nexus-bench
	target/release/nexus-bench all

ctk: ## Run the Open Workflow test kit; CTK=DIR names its features folder in a clone of the specification
	$(if $(CTK),CTK=$(abspath $(CTK))) $(CARGO) test --locked -p nexus-flows --test it ctk -- --nocapture

crash: ## Kill the hub 500 times under load and look for lost or doubled events
	NEXUS_CRASH_ROUNDS=$${NEXUS_CRASH_ROUNDS:-500} $(CARGO) test --locked -p nexus --test it crash -- --nocapture

fuzz: build ## Property tests of every parser, and requests made from the API's description, long
	CARGO_PROFILE_RELEASE_LTO=off PROPTEST_CASES=$${PROPTEST_CASES:-100000} $(CARGO) test --locked --release --workspace --lib
	SCHEMATHESIS_EXAMPLES=$${SCHEMATHESIS_EXAMPLES:-500} SCHEMATHESIS_SECONDS=3600 SCHEMATHESIS_SEED=$${SCHEMATHESIS_SEED:-$$RANDOM} scripts/schemathesis

soak: ## Ten minutes at 5,000 events/s: memory and WAL must stay flat
	$(CARGO) build --locked --release -p nexus -p nexus-bench
	target/release/nexus-bench footprint --soak 600

release: ## Build the stripped binary into target/release
	@scripts/tools
	$(CARGO) build --locked --release -p nexus
