# What a developer runs; `make help` lists it. CI (.ci/run) runs nothing else.
#
# Duet needs Rust (rust-toolchain.toml says which) and, to fetch the two programs below, python3. Both programs are
# taken from PATH where they will do.
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
TOOLS := $(TARGET)/tools
# nats-server is what `duet up` and the tests start; protoc is what the build of Jaeger's pages asks for.
DUET_NATS_SERVER ?= $(TOOLS)/bin/nats-server
PROTOC ?= $(TOOLS)/bin/protoc
export DUET_NATS_SERVER PROTOC
FEATURES := --features duet/jaeger
# Passed on, as in: make run ARGS="--data-dir /tmp/duet"
ARGS ?=

IMAGE ?= duet:0.1.0
FUZZ := services/shared/fuzz
SECONDS ?= 20
QUESTIONS ?= throughput latency switch surge outage volume memory
SHARD ?= $(shell echo $$((0x$$(git rev-parse --short=6 HEAD) % 200))/200)

.PHONY: help run test api soak fuzz mutants e2e lint fmt doc bench counts image kind minikube chart tools clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## Reaction, Notification and nats-server with Jaeger's pages, until Ctrl-C
	@$(CARGO) run --package duet $(FEATURES) -- up $(ARGS)

test: tools ## Every test, the real nats-server and the real pair included (SEEDS=n: more of the simulation)
	$(CARGO) test --workspace $(FEATURES) --no-fail-fast $(ARGS)

api: tools ## All three OpenAPI documents against a running pair, by schemathesis (EXAMPLES=n SEED=n: more, or other, requests)
	sh .ci/tools/fetch $(TOOLS) schemathesis
	DUET_SCHEMATHESIS=$(TOOLS)/bin/schemathesis $(CARGO) test --package duet $(FEATURES) --test api -- --ignored $(ARGS)

soak: tools ## Everything that can fail, by chance, under load; then a judge (MINUTES=1 SEED=n; KILLS=n: so many kills instead)
	sh .ci/tools/fetch $(TOOLS) toxiproxy
	DUET_TOXIPROXY=$(TOOLS)/bin/toxiproxy $(CARGO) test --package duet $(FEATURES) --test soak -- --ignored --nocapture $(ARGS)

# What is built of other packages is what the tests have built; Duet's own are built anew, so that libFuzzer sees into them.
fuzz: tools ## libFuzzer on every decoder of what comes from outside, SECONDS=20 each (needs a C++ compiler)
	@set -e; for target in $(notdir $(wildcard $(FUZZ)/corpus/*)); do \
		mkdir -p $(TARGET)/fuzz/$$target; \
		DECODER=$$target RUSTC_WORKSPACE_WRAPPER=$(abspath $(FUZZ))/instrument \
			$(CARGO) test --workspace $(FEATURES) --features duet-fuzz/libfuzzer --test libfuzzer -- \
			$(TARGET)/fuzz/$$target corpus/$$target -max_total_time=$(SECONDS) -timeout=60 -rss_limit_mb=2048 \
			-artifact_prefix=$(TARGET)/fuzz/ -print_final_stats=1 -verbosity=0 $(ARGS); \
	done

# Each is built and tested in a copy of the tree, whose target directory is its own. cargo-mutants says of one that never ended (3), which is as good
# as a test that fails, rather than of one that was missed; so what was missed is looked up.
mutants: ## Changes to duet-protocol that no test notices: of one part in 200, which the commit chooses (SHARD=0/1: all, for hours)
	@sh .ci/tools/fetch $(TOOLS) cargo-mutants
	@ulimit -v 8000000; PATH="$(TOOLS)/bin:$$PATH" CARGO_INCREMENTAL=1 SEEDS=$(or $(SEEDS),150) env -u CARGO_TARGET_DIR \
		$(CARGO) mutants --profile mutants --package duet-protocol --shard $(SHARD) --output $(TARGET) $(ARGS) || \
		{ [ $$? -eq 3 ] && [ ! -s $(TARGET)/mutants.out/missed.txt ]; }

e2e: tools ## Every test on the cluster of the current kubeconfig, on whose nodes the image is (kubectl, helm, helm3, chromium)
	$(CARGO) test --workspace $(FEATURES) --test e2e -- --ignored --test-threads 2 $(ARGS)

lint: tools ## Format, clippy, licences and bans, documentation: warnings are errors
	sh .ci/tools/fetch $(TOOLS) cargo-deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- --deny warnings
	$(TOOLS)/bin/cargo-deny --workspace check bans licenses sources
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps $(FEATURES)

fmt: ## Formats the code
	$(CARGO) fmt --all

doc: tools ## The documentation, in a browser
	$(CARGO) doc --workspace --no-deps $(FEATURES) --open

bench: tools ## What each mode costs here, beside its baseline, release build (QUESTIONS="throughput latency": only these)
	@$(CARGO) build --release --package duet $(FEATURES)
	@set -e; for question in $(QUESTIONS); do $(TARGET)/release/duet bench $$question $(ARGS); echo; done

counts: ## Instructions that the protocol takes for a commit group, beside those committed (needs valgrind; UPDATE=1 writes them anew)
	@UPDATE="$(UPDATE)" $(CARGO) bench --package duet-protocol --bench counts

image: ## The image, IMAGE=duet:0.1.0, by docker
	docker build --file deploy/Dockerfile --tag $(IMAGE) .

kind: ## Duet in a kind cluster on this machine; says what is missing
	@sh deploy/local.sh kind

minikube: ## Duet in a minikube cluster on this machine; says what is missing
	@sh deploy/local.sh minikube

chart: ## Lints the chart, and renders it with every helm/duet/ci/*.yaml (needs helm)
	@sh deploy/lint-chart.sh $(ARGS)

tools: ## nats-server and protoc into target/tools, pinned, unless the machine has them
	@sh .ci/tools/fetch $(TOOLS) nats-server protoc

clean: ## Removes what was built and fetched; the data in .duet stays
	$(CARGO) clean
