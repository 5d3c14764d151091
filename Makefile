# Every chore has one way; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help quickstart test unit it postgresql prometheus browser screenshots image e2e soak outage chart chart-golden chart-scan cluster tools year operate operate-real sweep living histories planted mutants fuzz fmt lint deny crds openapi permission-set docs docs-said runbooks drift bench-fleet bench-fleets bench-lookup bench-day bench-directory bench-scale bench-calls clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A KUBECONFIG from the environment is somebody's own cluster: only one on the command line counts.
quickstart: ## Start everything, play calls, show what kubectl shows; ONCE=1 ends by itself; KUBECONFIG=FILE uses that cluster
	@$(if $(filter command line,$(origin KUBECONFIG)),KUBECONFIG_FILE=$(KUBECONFIG)) examples/quickstart/start.sh $(if $(ONCE),--once)

test: postgresql prometheus browser cluster tools ## Everything: unit tests, rooms, and the integration tests on a real control plane
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 2)))} cargo test --workspace # they wait more than they compute

unit: postgresql ## The fast tests only, without a control plane
	cargo test --lib

it: prometheus cluster tools ## The integration tests only
	cargo test --test it

year: ## The controller in played worlds: days of tenants from seeds (SEEDS=1000 SEED=1 TENANTS=4 DAYS=4)
	SEED=$(or $(SEED),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')) SEEDS=$(or $(SEEDS),1000) cargo test --lib tests::year -- --nocapture

operate: ## Sequences of changes out of the schema in played worlds (SEQUENCES=2000)
	SEED=$(or $(SEED),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')) SEQUENCES=$(or $(SEQUENCES),2000) cargo test --lib operate -- --nocapture

operate-real: cluster tools ## Sequences of changes out of the schema on a real control plane: about eight minutes (SEQUENCES=200 SEED=1 ROUND=12)
	SEED=$(SEED) ROUND=$(ROUND) SEQUENCES=$(or $(SEQUENCES),200) cargo test --test it no_spec_out_of_the_schema -- --ignored --nocapture

living: postgresql ## Names in an org in which people work, at full size (LIVING=records,numbers,edits an hour,hours,seed)
	SWITCHBOARD_LIVING=$(or $(LIVING),100000,5000,2000,72,16) cargo test --lib worker::tests::living -- --nocapture --test-threads 1

sweep: cluster tools ## Every fault at every request of the controller in every scenario, on a real control plane (CASE=first-apply/15/kill, or SCENARIO=first-apply and FAULT=409)
	CASE=$(CASE) SCENARIO=$(SCENARIO) FAULT=$(FAULT) cargo test --test it every_fault_at_every_request -- --ignored --nocapture

histories: postgresql ## What clients of two directories see while all fails and clocks differ, checked for loss and doubles (HISTORY_SECONDS=120 SEED=1)
	SEED=$(or $(SEED),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')) HISTORY_SECONDS=$(or $(HISTORY_SECONDS),120) cargo test --lib tests::histories -- --nocapture

planted: ## Plant bugs that operators had and see which rule finds each; BUG=name for one
	@tests/planted/run.sh $(BUG)

mutants: postgresql ## Change single lines of the rules, 5,600, and see which change no unit test notices (ONLY=src/phone SAMPLE=800 SEED=1 AGAIN=1; needs cargo install --locked cargo-mutants)
	@tests/mutants/run.sh $(if $(ONLY),--only $(ONLY)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(AGAIN),--again)

image: ## Build the image into target/image/ with buildah or docker, without a registry; print its size
	@image/build.sh

e2e: ## The story on a real node, from chart and image (root on Linux; or KUBECONFIG=... IMAGE=... SIMULATOR_IMAGE=...)
	@$(if $(filter command line,$(origin KUBECONFIG)),E2E_KUBECONFIG=$(KUBECONFIG)) IMAGE=$(IMAGE) SIMULATOR_IMAGE=$(SIMULATOR_IMAGE) tests/e2e/run.sh $(E2E)

soak: ## Twenty tenants on a real node for HOURS (24), or MINUTES, while all kinds of things fail (SEED=1); its report is target/soak/report.html
	@tests/e2e/run.sh soak $(if $(MINUTES),--minutes $(MINUTES),--hours $(or $(HOURS),24)) $(if $(SEED),--seed $(SEED)) $(SOAK)

outage: cluster ## Salesforce away for a minute under 200 integrations: about four minutes
	cargo test --test it -- --ignored two_hundred

cluster: ## Build the control plane of the tests (7 to 10 minutes on two cores the first time)
	@tests/cluster/build.sh

tools: ## Build helm, kubeconform and a mail server for the tests (about 4 minutes the first time)
	@tests/tools/build.sh
	@tests/tools/mail/build.sh

chart: prometheus tools ## Lint the chart, render it beside what was reviewed, see what its schema refuses
	cargo test --test chart

chart-golden: prometheus tools ## Write tests/chart/golden and the table in the chart's README anew
	UPDATE_GENERATED=1 cargo test --quiet --test chart

chart-scan: tools ## checkov over what the chart renders; no finding without a reason (needs Python 3)
	@tests/chart/scan.sh

postgresql: ## Look for PostgreSQL's server, which the tests start; install Debian's as root
	@tests/support/postgresql.sh

prometheus: ## Look for Prometheus, promtool, Lua 5.1, curl, jq and openssl, which the tests run; install Debian's as root
	@tests/support/prometheus.sh

browser: ## Look for a browser with its driver, fonts and axe-core, which the tests of the pages run; install Debian's as root
	@tests/support/browser.sh

screenshots: browser ## Take the pictures of the pages in docs/screenshots anew
	UPDATE_GENERATED=1 cargo test --quiet --test pages

runbooks: prometheus cluster tools ## Have the commands of the documents answered again, and the resources of tests/chart/health recorded
	UPDATE_GENERATED=1 cargo test --test it every_output_in_the_pages
	UPDATE_GENERATED=1 cargo test --test it a_reader_runs
	UPDATE_GENERATED=1 cargo test --test it argo_cd_and_kstatus

fuzz: ## Fuzz what reads text from outside, each for FUZZ_SECONDS (600); TARGET=phone for one (nightly; about 2 hours for all)
	tests/fuzz/run.sh $(TARGET)

# rustfmt.toml groups imports and wraps comments, which nightly's rustfmt alone can; the stable one checks the rest.
FMT = cargo $(shell rustup run nightly rustfmt --version >/dev/null 2>&1 && echo +nightly) fmt --all

fmt: ## Format
	$(FMT)

lint: ## Formatting and clippy, warnings refused
	$(FMT) --check
	cargo clippy --workspace --all-targets -- -D warnings

deny: ## Licences, sources, duplicates; known vulnerabilities where their database can be had (ADVISORY_DB=DIR)
	@ADVISORY_DB="$(ADVISORY_DB)" tests/tools/deny.sh

crds: ## Write crds/, and the chart's copy, from the code
	UPDATE_GENERATED=1 cargo test --quiet --test docs the_definition

openapi: ## Write docs/directory-openapi.json from the code
	UPDATE_GENERATED=1 cargo test --quiet --lib directory

permission-set: ## Write docs/salesforce/SwitchboardIntegration.permissionset-meta.xml from the code
	UPDATE_GENERATED=1 cargo test --quiet --lib permission_set

docs: ## Write docs/reference.md, docs/reasons.md and docs/exit-codes.md from the code
	UPDATE_GENERATED=1 cargo test --quiet --test docs

docs-said: cluster ## Have the controller say every refusal again, and keep its words for docs/reasons.md
	UPDATE_GENERATED=1 cargo test --test it refusals
	$(MAKE) docs

drift: ## Fail when crds/, the chart's copy or the fuzzer's lock file is not what the code says
	cargo test --quiet --test docs the_definition
	@cargo update --quiet --workspace --locked --manifest-path tests/fuzz/Cargo.toml \
	  || { echo "tests/fuzz/Cargo.lock is behind: run 'cargo update --workspace --manifest-path tests/fuzz/Cargo.toml'"; exit 1; }

bench-fleet: cluster ## 500 resources at once: time to all Ready, log-ins, memory, API writes (COUNT=500)
	image/compile.sh
	cargo bench --bench fleet -- --count $(or $(COUNT),500) $(FLEET)

bench-fleets: cluster ## 1,000 and 5,000 resources, without and with 300 foreign Secrets of 1 MB: about 15 minutes
	image/compile.sh
	for count in 1000 5000; do for foreign in 0 300; do \
	  cargo bench --bench fleet -- --count $$count --foreign-secrets $$foreign --scenario start || exit 1; \
	done; done

bench-lookup: ## Numbers looked up: API calls, time, memory beside 3 calls a number
	cargo bench --bench lookup

bench-day: ## API calls of a tenant's day, beside the version before and three calls a number
	cargo test --lib -- --ignored --nocapture the_bill_of_a_day

bench-scale: ## A fleet that no machine of ours holds, by the rules and the queue alone (TENANTS=100000 SHARDS=10 PLAY=10 CALLS=4 SEED=17), and what one takes in memory
	TENANTS=$(or $(TENANTS),100000) SHARDS=$(or $(SHARDS),10) PLAY=$(or $(PLAY),$(SHARDS),10) CALLS=$(or $(CALLS),4) SEED=$(or $(SEED),17) \
	  cargo test --release --lib -- --ignored --nocapture --test-threads=1 a_fleet_that_no_machine what_an_integration_takes

bench-calls: cluster ## 1,000 tenants: call to name, ring to name beside a plain client, and what it costs when nobody calls (COUNT=1000)
	image/compile.sh
	cargo bench --bench fleet -- --count $(or $(COUNT),1000) --latency-ms 150 --scenario start --after-call \
	  --calls-a-second 50 --rings-a-second 50 --quiet-seconds 600 $(FLEET)

bench-directory: ## Look-ups, webhooks and fills on SQLite and PostgreSQL (CONTACTS=1000000 RECORDS=1000000)
	cargo bench --bench directory -- --contacts $(or $(CONTACTS),100000) --records $(or $(RECORDS),100000) $(DIRECTORY)

clean: ## Remove what was built, the control plane included
	cargo clean
