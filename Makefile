# make test installs what is missing and checks everything; the other targets are its parts.

GOLANGCI_VERSION := v2.15.0
GOFUMPT_VERSION  := v0.12.0

TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS):$(PATH)

# Tests that need a peer fail instead of skipping when the peer is absent: make test has just installed it.
test: export ANDIRON_REQUIRE_PEERS = 1

.PHONY: test soak setup tools peers build fmt vet lint unit nocgo cover clean

test: setup build vet lint nocgo unit

# setup brings the machine up to what the tests need. Nothing is installed that is already there.
setup: tools peers databases browser

tools: compiler $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)

.PHONY: compiler
compiler:
	@command -v gcc >/dev/null && command -v g++ >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev; }

$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@touch $@

$(TOOLS)/gofumpt-$(GOFUMPT_VERSION):
	GOBIN=$(TOOLS) go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	@touch $@

# peers are FHIR and OAuth programs from npm that nobody here wrote; interop/ drives them. They
# want a newer Node than Debian has, and one of the packages is that Node.
peers: interop/node_modules/.installed

interop/node_modules/.installed: interop/package.json interop/package-lock.json
	@command -v npm >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm; }
	cd interop && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# browser is a real one: cookies, frames and redirects are only proved there.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

# databases are real ones for the tests of package store; the tests start them.
.PHONY: databases
databases:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; }

build:
	go build ./...

fmt: tools
	gofumpt -w $$(git ls-files '*.go')

vet:
	go vet ./...

lint: tools
	@out=$$(gofumpt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	golangci-lint run ./...

# Without cgo there is no DuckDB; everything else must still build and say what it lacks.
nocgo:
	CGO_ENABLED=0 go build ./...

unit:
	go test -race -timeout 20m ./...

# soak is the long form of the fault, crash and size tests.
soak: export ANDIRON_SOAK = 1
soak: setup
	go test -timeout 3h -count=1 ./...

cover:
	go test -coverprofile=cover.out ./... && go tool cover -func=cover.out | tail -1

clean:
	rm -rf $(TOOLS) interop/node_modules cover.out
