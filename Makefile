# tutela: targets for people and machines. Only Go and make are needed, and
# for two tests The Sleuth Kit and ffmpeg, which .ci/run installs; `make bench`
# installs the tools it compares with by itself.

GO      ?= go
export CGO_ENABLED = 0
FUZZTIME ?= 30s

.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./tutela, one static binary
	$(GO) build -trimpath -o tutela ./cmd/tutela

verifier: ## build ./tutela-verify, the small program that checks bundles alone
	$(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o tutela-verify ./cmd/tutela-verify

test: ## run every test
	$(GO) test ./...

race: ## run every test under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./...

fuzz: ## fuzz each parser of foreign bytes for FUZZTIME (30s)
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|/[^/]*_test.go:[0-9]+:func | |' | while read -r pkg target; do \
		echo "== $$pkg $$target"; \
		$(GO) test "$$pkg" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x || exit 1; \
	done

MUTANTS ?= 10000

mutants: ## damage every good image, and a bundle, MUTANTS times: no panic, no hang, no hunger
	@grep -rl --include='*_test.go' -E 'evidencetest\.Mutants' internal | xargs -n1 dirname | sort -u | while read -r pkg; do \
		echo "== $$pkg"; \
		$(GO) test "./$$pkg" -run TestMutants -mutants $(MUTANTS) -timeout 3h || exit 1; \
	done
	$(GO) test ./verify -run TestMutants -mutants $(MUTANTS) -timeout 3h

TORTURE ?= 10000

torture: ## kill what writes the ledger TORTURE times, and go deeper in all that fails
	@grep -rl --include='*_test.go' -F 'flag.Int("torture"' internal | xargs -n1 dirname | sort -u | while read -r pkg; do \
		echo "== $$pkg"; \
		$(GO) test "./$$pkg" -torture $(TORTURE) -timeout 3h || exit 1; \
	done

bench: ## measure against the tools people use today; one table of ratios
	$(GO) run ./bench

lint: vet staticcheck vulnerabilities generated cross reproducible ## all checks that are not tests

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

# The database of vulnerabilities is fetched from the network. Exit code 3 means
# that one was found; anything else means that it could not be asked, which is
# said and is no verdict.
vulnerabilities:
	@$(GO) tool govulncheck ./... ; code=$$? ; \
	if [ $$code -eq 3 ]; then exit 1; fi ; \
	if [ $$code -ne 0 ]; then echo "govulncheck could not reach its database: vulnerabilities NOT checked"; fi

generated: ## check that generated files are what their generators write
	$(GO) generate ./...
	git diff --exit-code -- '*.s' '*_gen.go' '*_stub.go' '*.golden'
	$(GO) mod verify >/dev/null

cross: ## build for Windows and macOS
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/tutela
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/tutela
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/tutela
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/tutela-verify
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/tutela-verify

case-check: ## hold CASE/UCO against its shapes by two other engines (needs node, npm, unzip and the network)
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; set -e; \
	unzip -q internal/report/testdata/ontology.zip -d $$dir/ontology; \
	TUTELA_REPORT_LOOK=$$dir $(GO) test -count=1 -run TestLookAtIt ./internal/report > /dev/null; \
	cp internal/report/testdata/check.mjs $$dir; cd $$dir; \
	npm install --silent --no-audit --no-fund jsonld@9.0.0 n3@2.13.12 rdf-ext@2.6.0 rdf-validate-shacl@0.6.5 shacl-engine@1.1.2; \
	node check.mjs ontology case.jsonld

demo: ## synthetic evidence, the whole way, in under a minute
	$(GO) run ./cmd/tutela demo

release: ## reproducible binaries for six platforms in ./dist, from a clean clone
	$(GO) run ./release

reproducible: ## build every program twice, in two folders, and compare the bytes
	$(GO) test ./release -run TestTwiceTheSame -every

.PHONY: help build verifier test race fuzz mutants torture bench lint vet staticcheck vulnerabilities generated cross case-check demo release reproducible
