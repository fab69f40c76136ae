# The tasks of this workspace. `make` without arguments lists them; cargo and the scripts in deploy/ do the work.
#   STACK=docker|native   where the stack runs (default: Docker where an engine answers, else this machine)
#   PROFILE=dev|release   how it is compiled (default: dev, which compiles fastest)
#   NO_SKIP=1             invariant, schemathesis, fuzz, test-valkey and browser-tests fail where their tools cannot be installed (default: they are skipped)

# A variable of the caller's environment with this name is not meant.
cluster := $(if $(filter command,$(word 1,$(origin CLUSTER))),$(CLUSTER))
# Nor are variables of its environment with the names of the options that targets have.
args :=
base :=
examples :=
mix :=
replicas :=
requests :=
rps :=
runs :=
s :=
seconds :=
seed :=
server :=
skew :=
targets :=
writes :=
# Every recipe runs in a clean environment, independent of the caller's shell.
SHELL := deploy/shell
.DEFAULT_GOAL := help
strategies := $(shell printf '%s\n' docs/strategies/*.md | sed -n 's|.*/[0-9]*-\(.*\)\.md$$|\1|p')
shell_scripts := .ci/run deploy/browser-tests deploy/fuzz deploy/schemathesis/install deploy/schemathesis/run crates/proofs/invariant/install crates/proofs/src/mutants/rustc deploy/hostile-shells deploy/publish deploy/repeat-tests deploy/secrets deploy/shell deploy/stack deploy/tool \
	deploy/docker/stack deploy/native/stack deploy/native/build deploy/native/tools deploy/native/apt-install deploy/postgres/databases deploy/redis/cluster deploy/redis/render-acl deploy/redis/start

.PHONY: help
help:
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } /^##- / { print "  " substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

##@ Run
.PHONY: up down reset ps logs psql redis-cli console openapi
up: ## build and start the stack, seed it, and wait until it is healthy; replicas=2: two processes of each service; CLUSTER=1: on a Redis Cluster
	@deploy/stack up '$(replicas)' '$(cluster)'
down: ## stop the stack, keep its data
	@deploy/stack down
reset: ## stop the stack, delete its data
	@deploy/stack reset
ps: ## list the processes of the stack
	@deploy/stack ps
logs: ## show the logs; s=cart shows those of one service
	@deploy/stack logs $(s)
psql: ## open psql in the product API's database; s=cart or s=recommendation: in that of another service
	@deploy/stack psql $(s)
redis-cli: ## open redis-cli as the admin of Redis
	@deploy/stack redis-cli
console: ## start the stack and print the address of its live page
	@deploy/stack up '$(replicas)' '$(cluster)' >&2
	@deploy/stack url console
openapi: ## print the OpenAPI document of the running product API, or of s=cart
	@deploy/native/tools curl >&2
	@curl -q -fsS "$$(deploy/stack url $(or $(s),product-api))/openapi.json" || { echo 'the stack does not answer: make up' >&2; exit 1; }

##@ Watch the strategies
.PHONY: demo $(strategies:%=demo-%)
demo: ## start the stack and show all strategies; every claim is asserted
	@deploy/tool demo show
##- demo-ttl demo-explicit …: one of them, by its name
$(strategies:%=demo-%): demo-%:
	@deploy/tool demo show $*

##@ Prove and measure (the release build, unless PROFILE says otherwise)
# `args` is passed to the tool unchanged: make verify args='--only explicit --reads 100000'
.PHONY: verify chaos chaos-stack attack model invariant orders mutants near-mutants bench bench-quick bench-events bench-hit bench-memory bench-batch bench-cluster bench-search load
measured = $(or $(PROFILE),release)
alone = PROFILE=$(measured) deploy/tool alone
verify: ## read and write the running stack, check the promises of every cache, measure its staleness (some minutes)
	@PROFILE=$(measured) deploy/tool checker verify $(args)
chaos: ## every fault under load, then 10,000 writes while processes are killed at random, on private processes
	@$(alone) 'postgres redis' checker faults $(args)
	@$(alone) 'postgres redis' checker faults --random $(or $(writes),10000)
chaos-stack: ## every fault under load, on the running stack, natively or in Compose; its services are restarted for it
	@PROFILE=$(measured) deploy/tool checker faults $(args)
attack: ## read unknown ids at full speed while Redis has 24 MB, on private processes: requests=1000000
	@$(alone) 'postgres redis' checker attack $(requests:%=--requests=%) $(args)
model: ## explore every order of steps of the cache's protocol, whole and without each of its defences
	@$(alone) '' proofs model $(args)
invariant: ## prove the promises for any number of processes with z3, and refute each without its defence (a minute at most): args='--paths'
	@crates/proofs/invariant/install; status=$$?; case $$status in \
	0) target/invariant/bin/python -B crates/proofs/invariant/prove.py $(args) ;; \
	75) echo 'invariant: skipped, z3 cannot be installed; the reason is above (it needs Python 3.11, python3-venv and PyPI)'; [ -z "$$NO_SKIP" ] ;; \
	*) exit $$status ;; esac
orders: ## single-flight, reads, deferred invalidations and the near cache in 10,000 orders of steps each; a part of `make test`
	@deploy/native/tools cargo compiler
	cargo test --package cache --lib orders::
mutants: ## remove each defence from the cache's Lua scripts, one at a time; the test that guards it must fail
	@PROFILE=dev deploy/tool alone redis proofs mutants $(args)
near-mutants: ## remove each defence from the near cache; its test must fail, and the checker must find stale reads (a quarter of an hour)
	@PROFILE=dev deploy/tool alone 'postgres redis' proofs near-mutants $(args)
bench: ## compare all strategies with no cache: latency, peak, loads, staleness, memory; writes the README's table
	@$(alone) 'postgres redis wrk' bench strategies --readme README.md $(args)
bench-quick: ## the same in less than a minute; writes only target/reports/quick
	@$(alone) 'postgres redis wrk' bench strategies --quick $(args)
bench-events: ## time until every cache has removed a changed entry; fails when events do not keep up
	@$(alone) 'postgres redis' bench events --assert $(args)
bench-hit: ## the cost of a hit over HTTP, beside the caches of other projects
	@$(alone) 'postgres redis wrk' bench hit $(args)
bench-memory: ## the time of a hit from the memory of the process, beside the maps of other crates
	@$(alone) redis bench memory --assert $(args)
bench-batch: ## the time of 1,000 entries in a batch, beside single reads
	@$(alone) redis bench batch --assert $(args)
bench-cluster: ## the cache on one Redis, beside a Redis Cluster of three primaries
	@$(alone) redis bench cluster $(args)
bench-search: ## time to index 100,000 products, and to answer a search
	@$(alone) 'postgres redis' bench search $(args)

load: ## send requests to the running stack until Ctrl-C, and show the results live: rps=350 mix=0.05 (share of writes) skew=0.9 (Zipf)
	@PROFILE=$(measured) deploy/tool demo load $(rps:%=--rps=%) $(mix:%=--mix=%) $(skew:%=--skew=%) $(args)

##@ Develop
.PHONY: schemathesis fuzz strategies new-strategy test test-slow test-programs test-transports test-valkey repeat-tests hostile-shells browser-tests check fmt clippy docs alone publish-dry-run semver-checks msrv deny audit machete typos shellcheck page
# Most tests wait for a server most of the time.
test test-transports test-valkey: export RUST_TEST_THREADS ?= $(shell echo $$((3 * $$(nproc))))
test: ## run every test on private Postgres and Redis instances
	@deploy/native/tools cargo compiler postgres redis
	cargo test --workspace
test-slow: ## the tests that are ignored otherwise, because they take minutes: more faults under load, a million tags
	@deploy/native/tools cargo compiler postgres redis
	cargo test --workspace --bins --lib --tests -- --ignored
strategies: ## write the table of the strategies into the README
	@PROFILE=dev deploy/tool alone '' demo list --readme README.md
new-strategy: ## add the strategy of CONTRIBUTING.md to a copy of the checkout, and test it there
	@PROFILE=dev deploy/tool alone 'postgres redis' proofs new-strategy
test-programs:
	@deploy/native/tools cargo compiler postgres redis
	cargo test --workspace --no-run
test-transports: ## the tests of cache and outbox, over a Unix socket, over TLS with a client certificate, and through sentinels
	@deploy/native/tools cargo compiler redis postgres
	TEST_REDIS=unix cargo test --package cache --package outbox
	TEST_REDIS=tls cargo test --package cache --package outbox
	TEST_REDIS=sentinel cargo test --package cache --package outbox
test-valkey: ## the tests of cache and outbox on Valkey: server=… is its program (default: the installed valkey-server)
	@deploy/native/tools cargo compiler redis postgres
	@if [ -n '$(server)' ] || deploy/native/tools valkey-server; \
	then program=$$(realpath "$(or $(server),$$(command -v valkey-server))"); "$$program" --version; \
	TEST_REDIS_SERVER=$$program cargo test --package cache --package outbox; \
	else echo 'test-valkey: skipped, valkey-server cannot be installed; the reason is above'; [ -z "$$NO_SKIP" ]; fi
repeat-tests: ## make test, runs=20 times while a compiler runs; prints how many passed (ten minutes and more each)
	@deploy/repeat-tests $(or $(runs),20)
schemathesis: ## test the four services against their OpenAPI documents, on private processes: examples=25 for each operation, seed=…
	@deploy/schemathesis/install; status=$$?; case $$status in \
	0) EXAMPLES=$(or $(examples),25) SEED=$(seed) PROFILE=dev deploy/tool alone 'postgres redis' checker private -- deploy/schemathesis/run ;; \
	75) echo 'schemathesis: skipped, it cannot be installed; the reason is above (it needs Python 3.11, python3-venv and PyPI)'; [ -z "$$NO_SKIP" ] ;; \
	*) exit $$status ;; esac
fuzz: ## fuzz what the crates parse: seconds=60 for each target (or targets='entry event')
	@if deploy/native/tools cargo compiler c++; then deploy/fuzz $(or $(seconds),60) $(targets); \
	else echo 'fuzz: skipped, a C++ compiler cannot be installed; the reason is above (libFuzzer needs one)'; [ -z "$$NO_SKIP" ]; fi
hostile-shells: ## run make ps and a demo under environments that have broken scripts; needs the running stack
	@deploy/hostile-shells
browser-tests: ## press every button of the console in a real browser; needs the running stack, and Node
	@deploy/browser-tests test
check: fmt clippy docs deny machete typos shellcheck page ## formatting, lints, documentation, dependencies, spelling, scripts, types
fmt:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	@rustfmt --check services/product-api/src/strategies/*.rs # which cargo does not find: a macro declares them
clippy:
	@deploy/native/tools cargo compiler
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo clippy --workspace --all-targets -- -D warnings
docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
# A reusable crate must not depend on features that only another crate of this workspace enables.
alone: ## check each reusable crate by itself, and the cache as `make mutants` and `make fuzz` compile it
	cargo check --package cache
	cargo check --package outbox
	cargo check --package contract
	cargo clippy --package cache --lib -- -D warnings --cfg mutants
	cargo clippy --package cache --lib --features lz4 -- -D warnings --cfg fuzzing
	cargo metadata --quiet --locked --format-version 1 --manifest-path fuzz/Cargo.toml > /dev/null
publish-dry-run: ## package and compile the reusable crates as the registry would, under their names there; uploads nothing
	@deploy/native/tools cargo compiler
	@deploy/publish dry-run
semver-checks: ## compare the public API of the reusable crates with that of an older commit: base=v0.1.0 (needs cargo-semver-checks)
	@deploy/publish semver '$(base)'
msrv: ## check the reusable crates, and all of their features, with the oldest Rust version that they support
	@deploy/native/tools cargo compiler
	@deploy/publish msrv
# Only checks that depend on this repository alone, so that an unchanged commit stays green. Advisories: `make audit`.
deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check bans licenses sources; \
	else echo 'deny: skipped, cargo-deny is not installed (cargo install --locked cargo-deny; it takes some minutes)'; fi
audit: ## look the dependencies up in the advisory database (needs cargo-deny and the network)
	cargo deny --all-features check advisories
machete:
	@if command -v cargo-machete >/dev/null; then cargo machete; \
	else echo 'machete: skipped, cargo-machete is not installed (cargo install --locked cargo-machete)'; fi
typos:
	@if command -v typos >/dev/null; then typos; \
	else echo 'typos: skipped, it is not installed (cargo install --locked typos-cli)'; fi
shellcheck:
	@if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR:. $(shell_scripts); \
	else echo 'shellcheck: skipped, it is not installed (apt-get install shellcheck)'; fi
page: # the types of the console's page
	@deploy/browser-tests types
