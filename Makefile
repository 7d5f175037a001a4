# Fairgate's build. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := bin
TOOLS := $(BIN)/tools
GOLANGCI_VERSION := v2.15.0
PACKAGES := ./...
FUZZTIME ?= 20s
TEST_FLAGS ?=
BENCH_FLAGS ?=
DEMO_FLAGS ?=
ROOM_FLAGS ?=
OPS ?= 200000
ORDERS ?= 3000
SEED ?= 1
HISTORY ?= var/storm

# KEEP=1 leaves the demo running for a look around.
ifeq ($(KEEP),1)
DEMO_FLAGS += --keep
endif

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ready ## look for Go, gcc, a database and a browser for the tests; install what apt has
	@sh .ci/setup browser

.PHONY: ready
ready:
	@sh .ci/setup

.PHONY: build
build: ## build every program into bin/
	@sh .ci/setup go
	@echo "building (the first time takes a minute or two) ..."
	@mkdir -p $(BIN)
	go build -o $(BIN)/ ./core/cmd/... ./core/inventory/cmd/... ./core/checkout/cmd/... ./edge/cmd/... ./ledger/cmd/... ./core/settlement/cmd/... ./core/ticket/cmd/... ./ctl/cmd/... ./loadtest/cmd/... ./loadtest/paysim/cmd/...

.PHONY: demo
demo: ready build ## play a whole on-sale and audit it (KEEP=1 leaves it running)
	@$(BIN)/ticketctl demo $(DEMO_FLAGS)

.PHONY: rehearse-bots
rehearse-bots: ready build ## seven kinds of bots against an on-sale, and what each got out of it
	@$(BIN)/ticketctl demo --adversaries --report bots-report.html $(DEMO_FLAGS)

.PHONY: rehearse-room
rehearse-room: ready build ## half a million people join, wait and poll on this machine (ROOM_FLAGS="--buyers 20000")
	@$(BIN)/ticketctl rehearse-room $(ROOM_FLAGS)

.PHONY: demo-stop
demo-stop: ## stop what `make demo KEEP=1` left running
	@if [ -x $(BIN)/ticketctl ]; then $(BIN)/ticketctl demo --stop; else echo "nothing to stop: bin/ticketctl was never built"; fi

.PHONY: test
test: setup style build ## formatting and go vet, then every test with the race detector
	@sh .ci/test $(TEST_FLAGS)

.PHONY: screenshots
screenshots: setup ## pictures of the pages on a phone and a desk, light and dark, into edge/web/testdata/screenshots
	@mkdir -p edge/web/testdata/screenshots
	FAIRGATE_SCREENSHOTS=$(CURDIR)/edge/web/testdata/screenshots go test ./edge -count=1 -timeout 20m -run 'TestEverybodyCan|TestABrowserFinds|TestABrowserWithout'

.PHONY: check
check: $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) style ## formatting, go vet and the linters
	$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) run

.PHONY: style
style: # formatting and go vet
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go mod verify >/dev/null
	go vet $(PACKAGES)
	go vet -tags sabotage ./core/payment ./core/checkout

$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION):
	@sh .ci/setup go
	@echo "building golangci-lint $(GOLANGCI_VERSION) once (some minutes; later runs use it as it is) ..."
	@mkdir -p $(TOOLS)
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: ready build ## the figures of the hot paths, one JSON object on the last line
	@sh .ci/bench

.PHONY: bench-holds
bench-holds: ready build ## holds in every way, in process and over HTTP; the last line is one JSON object (BENCH_FLAGS="--seconds 10")
	@sh .ci/bench-holds $(BENCH_FLAGS)

.PHONY: prove
prove: ready build ## kill cores and database during OPS (200000) holds and releases, then prove that nothing was sold twice or lost
	@$(BIN)/ticketctl storm --ops $(OPS) --seed $(SEED) --history $(HISTORY)
	@$(BIN)/ticketctl prove --visualize $(HISTORY)/wrong.html $(HISTORY)/*.jsonl

.PHONY: soak-money
soak-money: ready build ## buy and refund ORDERS (3000) times while provider, cores and database misbehave, then count the money
	@$(BIN)/ticketctl soak --orders $(ORDERS) --seed $(SEED)

.PHONY: soak-negative
soak-negative: ready build ## switch off one safeguard at a time in cores built for it, and see that the soak notices each
	@mkdir -p $(BIN)/sabotage
	go build -tags sabotage -o $(BIN)/sabotage/ ./core/cmd/fairgate-core ./loadtest/paysim/cmd/paysim
	@sh .ci/soak-negative

.PHONY: bench-edge
bench-edge: ready build ## what an edge does for a buyer, against a server that answers a constant; the last line is one JSON object (BENCH_FLAGS="--rounds 9")
	@$(BIN)/benchedge $(BENCH_FLAGS)

.PHONY: bench-pages
bench-pages: setup ## every page on a slow phone and network, as a browser measures it; a table and, last, one JSON line
	@sh .ci/bench-pages

.PHONY: bench-catalog
bench-catalog: ready build ## how fast 100,000 events are searched; a table and, last, one JSON line (BENCH_FLAGS="--events 20000")
	@$(BIN)/benchcatalog $(BENCH_FLAGS)

.PHONY: bench-money
bench-money: setup build ## purchases a second, ledger, reconciliation; a table and, last, one JSON line (BENCH_FLAGS="--only purchases")
	@sh .ci/bench-money $(BENCH_FLAGS)

.PHONY: bench-ledger
bench-ledger: ready build ## transfers a second, the trial balance over ten million; a table and, last, one JSON line (BENCH_FLAGS="--only hot")
	@$(BIN)/benchledger $(BENCH_FLAGS)

.PHONY: bench-tickets
bench-tickets: ready build ## tickets issued, verified, drawn, scanned; a table and, last, one JSON line (BENCH_FLAGS="--only scan")
	@$(BIN)/benchtickets $(BENCH_FLAGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s) each
	@set -e; for dir in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
	    echo "== $$dir $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$dir; \
	  done; done

.PHONY: clean
clean: ## remove what the build made
	rm -rf $(BIN) demo-report.html demo-report.json bots-report.html bots-report.json
