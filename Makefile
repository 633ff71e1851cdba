# Every command of the project: each target installs and builds what it lacks.
.DEFAULT_GOAL := help
.PHONY: help run ct ledger simulate siege hostile rounds soak meter-crash cluster-faults test test-fast test-long bottlenecks test-platforms test-nodes check bench docs powerloss mutants build native prebuild packages wasm clean coverage fuzz

SOURCES := $(shell find protocol src tools bench -name '*.ts' 2>/dev/null) $(wildcard src/page/*) $(wildcard test/support/postgres/*.ts) $(addprefix test/support/,collisions.ts curve.ts softhsm.ts watchdog.ts)
INSTALLED := node_modules/.package-lock.json
TYPEDOC := docs/typedoc/node_modules/.package-lock.json
BUILT := dist/.built
LONG_TESTS = $(shell grep -rl --include="*.test.ts" brieflyOrAtLength test) test/integration/conformance/conformance.test.ts
CC ?= cc
KERNEL := $(wildcard src/kernel/*.[ch] src/native/*.[ch] src/native/Makefile)
NATIVE := build/claimwire.node

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(BUILT) $(NATIVE) ## a node and a payer exchanging claims for some seconds, then the result
	@node dist/tools/cli.js demo

ledger: $(INSTALLED) ## a test double of the XRP Ledger on loopback, to try the commands that want one
	@npx esbuild test/support/ledger/try.ts --bundle --platform=node --format=esm --packages=external --outfile=build/try-ledger/try.mjs --log-level=warning
	@node build/try-ledger/try.mjs

test: $(BUILT) $(NATIVE) ## everything that can fail
	npx vitest run

test-fast: $(BUILT) $(NATIVE) ## in less than a minute: units, and fast twins against slow ones
	npx vitest run --project 'fast*'

test-long: $(BUILT) $(NATIVE) ## what make test does briefly, with all the cases that it is for: 100,000 claims each way, 500,000 signatures
	CLAIMWIRE_TEST_LENGTH=long npx vitest run $(LONG_TESTS)

check: $(BUILT) ## types, lint and format, imports, dead exports
	npx tsc -p tsconfig.test.json
	npx tsc -p tsconfig.browser.json
	npx biome ci .
	npx knip

bench: $(BUILT) $(NATIVE) ## every benchmark, briefly; npm run bench:NAME for one in full
	@for name in codec ring journal channels verify sign load path transport pool meter merkle measures gateway cluster package; do node dist/bench/$$name/$$name.js --quick || exit 1; done

docs: $(TYPEDOC) ## the API reference in build/docs; an exported name without a docstring fails it
	docs/typedoc/node_modules/.bin/typedoc --options docs/typedoc/typedoc.json

powerloss: $(BUILT) $(NATIVE) ## 2,500 images of a recorded node's disk, cut at 500 points under five disk models; Linux, ARGS="--help"
	@npx tsc -p test/powerloss/tsconfig.json
	@node build/powerloss/test/powerloss/main.js $(ARGS)

# SEED has a default of another target: only one that was given counts.
simulate: $(INSTALLED) $(NATIVE) ## a node's whole lives in virtual time from seeds, with every fault there is: SEEDS=2000 WORKERS=2, SEED=7 for one with its trace, ARGS="--help"
	@npx esbuild test/simulation/main.ts --bundle --platform=node --format=esm --packages=external --outfile=build/simulation/main.mjs --log-level=warning
	@node build/simulation/main.mjs $(if $(SEEDS),--seeds $(SEEDS)) $(if $(filter-out file,$(origin SEED)),--seed $(SEED)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

coverage: $(BUILT) $(NATIVE) ## lines and branches that the tests of the parts that must not fail run, C too: 95 % and 90 %; ARGS="--files"
	@npx esbuild test/coverage/main.ts --bundle --platform=node --format=esm --packages=external --outfile=build/coverage.mjs --log-level=warning
	@node build/coverage.mjs $(ARGS)

SECONDS ?= 60
C_TARGETS := kernel admission
fuzz: $(INSTALLED) $(NATIVE) ## inputs made of those that took new branches, for every parser: TARGET=NAME SECONDS=60, ARGS="--help"
	@npx esbuild test/fuzz/main.ts test/fuzz/worker.ts --bundle --splitting --platform=node --format=esm --packages=external --outdir=build/fuzz --out-extension:.js=.mjs --log-level=warning
	@$(if $(filter $(C_TARGETS),$(TARGET)),,node build/fuzz/main.mjs $(if $(TARGET),--target $(TARGET)) --seconds $(SECONDS) $(ARGS))
	@$(if $(TARGET),$(if $(filter $(C_TARGETS),$(TARGET)),$(MAKE) -s -C src/native fuzz-$(TARGET) SECONDS=$(SECONDS)),$(MAKE) -s -C src/native fuzz SECONDS=$(SECONDS))

mutants: $(BUILT) $(NATIVE) ## the source made wrong in more than 200 places, one at a time: which test notices each; ARGS="--help"
	@npx tsc -p test/mutants/tsconfig.json
	@node build/mutants/test/mutants/main.js $(ARGS)

build: $(BUILT) $(NATIVE) ## compile to dist/, and the kernel to build/ where there is a C compiler

native: $(NATIVE) ## the verification kernel as an addon: cc and node-api-headers, nothing else

ct: $(NATIVE) ## is the batch signer constant time? valgrind follows its secrets, then 1,000,000 measurements a kernel, for minutes on a quiet machine: SAMPLES=1000000
	$(MAKE) -s -C src/native check-ctgrind
	$(MAKE) -s -j1 -C src/native check-dudect $(if $(SAMPLES),SAMPLES=$(SAMPLES))

siege: $(BUILT) $(NATIVE) ## a node under every attack while honest payers pay: what they and the operator see
	SIEGE_SECONDS=20 npx vitest run test/siege --reporter=verbose

# ROUNDS has a default of another target: only one that was given counts.
LIVES = $(if $(filter-out file,$(origin ROUNDS)),$(ROUNDS),100)
rounds: $(BUILT) $(NATIVE) ## lives of real nodes: kill -9, SIGSTOP, ended threads, full and hanging disks, damaged folders, two nodes on one: ROUNDS=100 SEED=1
	ROUNDS=$(LIVES) DAMAGES=$(LIVES) SEED=$(SEED) CLAIMWIRE_TEST_LENGTH=long npx vitest run --reporter=verbose --disable-console-intercept \
	  $(addprefix test/integration/,rounds.test.ts damaged-folder.test.ts disk-faults.test.ts node-lock.test.ts) test/unit/folder/folder-lock.test.ts test/e2e/faults.test.ts

soak: $(BUILT) $(NATIVE) ## 30 minutes of load, reconnects, restarts and admin calls: memory, descriptors, disk and latency stay flat: SECONDS=120, ARGS="--help"
	@npx tsc -p test/soak/tsconfig.json
	@node build/soak/test/soak/main.js --seconds $(if $(SECONDS),$(SECONDS),1800) $(ARGS)

DATAGRAMS ?= 10000000
hostile: $(BUILT) $(NATIVE) ## hostile datagrams of every kind in both layouts: no crash, each counted under a reason: DATAGRAMS=10000000 RATE=max SEED=1
	HOSTILE_DATAGRAMS=$(DATAGRAMS) HOSTILE_RATE=$(RATE) SEED=$(SEED) npx vitest run test/siege/hostile-datagrams.test.ts --reporter=verbose --disable-console-intercept

bottlenecks: $(BUILT) $(NATIVE) ## live nodes held back on purpose, by disk, network, cores and key tables: what the bottleneck finder says
	BOTTLENECKS=1 npx vitest run test/e2e/bottlenecks.test.ts --reporter=verbose

meter-crash: $(BUILT) $(NATIVE) ## kill -9 twenty times in the middle of 10,000 charges: nothing is sold twice
	METER_KILLS=20 METER_CHARGES=10000 npx vitest run test/integration/meter-crash.test.ts --reporter=verbose

ROUNDS ?= 200
SEED ?= 1
cluster-faults: $(BUILT) $(NATIVE) ## three nodes on a PostgreSQL with two standbys, killed, stopped, cut off and moved under load: ROUNDS=200 SEED=1
	ROUNDS=$(ROUNDS) SEED=$(SEED) npx vitest run test/cluster --reporter=verbose --disable-console-intercept

# A platform is built where its compiler is: Debian's gcc-aarch64-linux-gnu and musl-tools. Stripped: a tenth of the size; not on
# macOS, where a library that was changed after it was signed is not loaded.
HOST := $(shell uname -s | tr A-Z a-z)-$(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
PLATFORMS ?= $(patsubst linux-%,linux-%-gnu,$(HOST)) linux-x64-musl linux-arm64-gnu
prebuild: $(NATIVE) ## the addon for each of PLATFORMS that there is a compiler for, into build/prebuilt/
	@for platform in $(sort $(PLATFORMS)); do $(MAKE) -s prebuild-$$platform || exit 1; done
prebuild-linux-x64-musl: CROSS := musl-gcc
prebuild-linux-arm64-gnu: CROSS := $(if $(filter linux-arm64,$(HOST)),,aarch64-linux-gnu-gcc)
prebuild-%: $(NATIVE)
	@mkdir -p build/prebuilt/$*
	@if [ -z "$(CROSS)" ]; then if [ -f $(NATIVE) ]; then $(if $(filter darwin-%,$*),cp $(NATIVE),strip -o) build/prebuilt/$*/claimwire.node $(if $(filter darwin-%,$*),,$(NATIVE)); fi; \
	elif command -v $(CROSS) >/dev/null; then $(MAKE) -s -j2 -C src/native native CC=$(CROSS) CFLAGS=-O3 LDFLAGS=-s OUT=../../build/prebuilt/$*; \
	else echo "make: NOT prebuilt for $*: expected the compiler $(CROSS), got none" >&2; fi

packages: $(BUILT) prebuild ## what is published: the tarballs of claimwire and of its platform packages, in build/packages/
	@node tools/packages.mjs make

test-platforms: $(BUILT) $(NATIVE) ## what is built for other platforms: C tests with musl-gcc, and for arm64 under qemu-user with the demo
	@node test/platforms/platforms.mjs

test-nodes: $(BUILT) $(NATIVE) ## the fast tests and the demo on Node.js 20, 22, 24 and 26, each from npm; NODES="22 24" chooses
	@node test/platforms/nodes.mjs

wasm: ## the same kernel as WebAssembly, which is committed; needs clang-19 and lld-19
	$(MAKE) -C src/native wasm

clean: ## remove what was built, never data/
	rm -rf dist build

# Not npm ci: it refuses a lock without the optional packages of every other platform. This takes it, and leaves it as is.
# npm pack --dry-run runs this too, with its own flag in the environment: what is to be packed has to be built all the same.
$(INSTALLED): package-lock.json package.json
	npm install --no-save --ignore-scripts --dry-run=false >&2
	@touch $@

# typedoc reads sources through the compiler API of TypeScript 6, which 7 no longer has: it is installed apart.
$(TYPEDOC): $(INSTALLED) docs/typedoc/package-lock.json
	npm install --prefix docs/typedoc --no-save --ignore-scripts --dry-run=false >&2
	@touch $@

$(BUILT): $(INSTALLED) $(SOURCES) tsconfig.json tsconfig.page.json rolldown.config.js
	@rm -rf dist
	npx tsc -p tsconfig.page.json
	npx tsc -p tsconfig.json
	@cp src/page/*.html src/page/*.css src/page/*.svg dist/src/page/
	@npx rolldown -c --log-level warn
	@rm dist/src/threads/boot.js.map dist/src/load/generator-thread.js.map dist/src/web/main.js.map
	@chmod +x dist/tools/cli.js
	@touch $@

# Without a compiler the node runs the wasm kernel, and says so.
$(NATIVE): $(INSTALLED) $(KERNEL)
	@if command -v $(CC) >/dev/null; then $(MAKE) -s -j2 -C src/native native CC="$(CC)" OUT=../../build; \
	else echo 'make: no C compiler ($(CC)): the wasm kernel will verify' >&2; fi
