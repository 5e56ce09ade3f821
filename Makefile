# PayFlow's commands. A newcomer needs only `make run` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help run seed reset clean test coverage check format types e2e screenshots test-dynamodb-local fuzz crash model mutants load bench budgets growth exports cold-start costs scaling lock audit package bootstrap deploy policies key requeue redrive count-refunds index-payments move-secrets restore switch
SHELL := /bin/sh

# What a target is told, as in `make package STAGE=dev`. Whatever the value, it runs nothing: make
# does not expand it, and recipes read it from the environment.
SETTINGS := API_CERTIFICATE API_DOMAIN AT BACK BUCKET CERTIFICATE CHAPTER DOMAIN DRY_RUN EMAIL \
  EXAMPLES FAULTS FLOOD_LIMIT LANE N NAME OLDER_THAN ONLY ORIGIN PAYFLOW_DASHBOARD PAYMENTS PYTHON QUEUE \
  RATES REPORT REPOSITORY_ID RESTORED ROUNDS SCOPES SECONDS SEED SIZES STAGE SUBJECT WITHIN
$(foreach setting,$(SETTINGS),$(if $(value $(setting)),$(eval \
  override $(setting) := $$(value $(setting)))$(eval export $(setting))))
# $(call option,ORIGIN,--origin) gives the option its value, if there is one.
option = $(if $(value $1),$2="$$$1")

# The first installed Python that is new enough; infra/local/install.py reports if none is.
PYTHON_3 := "$${PYTHON:-$$(for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)}"

.venv/ready: requirements-run.lock infra/local/install.py
	@$(PYTHON_3) infra/local/install.py run

# What tests, checks and benchmarks need on top; `make run` does not wait for it.
.venv/dev-ready: .venv/ready requirements-dev.lock
	@$(PYTHON_3) infra/local/install.py dev

# What packaging and deploying need, and nothing else.
.package/ready: infra/requirements-package.lock infra/local/install.py
	@$(PYTHON_3) infra/local/install.py package

frontend/node_modules/ready: frontend/package-lock.json
	@$(PYTHON_3) infra/local/install.py frontend

# PAYFLOW_DASHBOARD=off runs the stack without its dashboard, and so without Node.
ifeq ($(value PAYFLOW_DASHBOARD),off)
RUNS := .venv/ready
else
RUNS := .venv/ready frontend/node_modules/ready
endif
FRONTEND := cd frontend && npm run --silent

##@ Run

help:  ## show this list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-21s%s\n", $$1, $$2}' Makefile

run: $(RUNS)  ## run the whole gateway on this machine, until Ctrl-C
	@.venv/bin/python -m infra.local

seed: .venv/ready  ## create realistic payments on the local stack: N=300
	@.venv/bin/python -m infra.local.seed "$${N:-300}"

reset: .venv/ready  ## empty the stopped local stack: tables, queues and logs
	@.venv/bin/python -m infra.local reset

clean:  ## remove everything that make created, the local stack's data included
	@rm -rf .venv .package .payflow dist frontend/node_modules frontend/dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .tools .coverage htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Check

# One test file at a time in each process, since its tests share what they have started; in the order
# of tests/conftest.py, the longest first. Four processes also on two CPUs: stack tests mostly wait.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder
test: .venv/dev-ready frontend/node_modules/ready  ## run all tests except those in a browser
	@$(FRONTEND) test & dashboard=$$!; \
	  heard=$$(mktemp -d) && trap 'rm -r "$$heard"' EXIT && export PAYFLOW_TEST_HEARD_IN="$$heard" && \
	  .venv/bin/python -m pytest $(SIDE_BY_SIDE) $(COVERAGE) --ignore=tests/test_heard.py && \
	  .venv/bin/python -m pytest tests/test_heard.py && \
	  { wait $$dashboard || { echo "The dashboard's tests failed: see above." >&2; exit 1; }; }

coverage: COVERAGE := --cov --cov-report=term --cov-report=html
coverage: test  ## run all tests, and show which branches of app.py and chalicelib they cover

check: .venv/dev-ready frontend/node_modules/ready  ## check style, types, templates, workflows and secrets
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/cfn-lint infra/backend.yaml infra/frontend-stack.yaml
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@.venv/bin/zizmor --offline --quiet --no-progress .github
	@.venv/bin/python -m infra.checks.secret_scan
	@.venv/bin/python -m infra.checks.openapi > frontend/openapi.json
	@$(FRONTEND) types -- --check
	@$(FRONTEND) check

format: .venv/dev-ready frontend/node_modules/ready  ## format the code, and fix what ruff can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@$(FRONTEND) format

types: .venv/ready frontend/node_modules/ready  ## generate the dashboard's types from the API
	@.venv/bin/python -m infra.checks.openapi > frontend/openapi.json
	@$(FRONTEND) types

e2e: .venv/ready frontend/node_modules/ready  ## test the dashboard in a browser, on the local stack
	@.venv/bin/python -m infra.checks.browser npm run --silent --prefix frontend e2e

screenshots: .venv/ready frontend/node_modules/ready  ## take pictures of every page, also those in the documentation
	@.venv/bin/python -m infra.checks.browser npm run --silent --prefix frontend screenshots

# What the engine may make a difference to: storage (tests/conftest.py chooses the tests), races,
# outages, kills, and its own start and stop.
ON_THE_ENGINE := $(patsubst %,tests/%,api_keys exports infra payments webhooks) \
  $(patsubst %,tests/stack/test_%.py,dynamodb_local races outages recovery) \
  tests/stack/test_lifecycle.py::test_data_survives_every_stop_until_reset_and_no_process_stays \
  tests/stack/test_lifecycle.py::test_signal_during_the_start_stops_the_stack_cleanly
test-dynamodb-local: .venv/dev-ready frontend/node_modules/ready  ## repeat the tests of storage and the stack on AWS's DynamoDB Local
	@PAYFLOW_TEST_DYNAMODB=dynamodb-local .venv/bin/python -m pytest $(SIDE_BY_SIDE) $(ON_THE_ENGINE) \
	  --deselect=tests/stack/test_recovery.py::test_a_stage_runs_on_as_it_was_at_a_moment_and_what_came_later_is_named

fuzz: .venv/dev-ready  ## test the API with generated requests: SEED=1 EXAMPLES=10
	@.venv/bin/python -m pytest tests/fuzz/fuzz_api.py -v

crash: .venv/dev-ready  ## kill, stop and disconnect the handlers at each call: SEED=1 FAULTS=10000
	@.venv/bin/python -m tests.crash $(call option,SEED,--seed) $(call option,FAULTS,--faults) \
	  $(call option,REPORT,--report) $(call option,LANE,--lane) $(call option,CHAPTER,--chapter)

model: .venv/dev-ready  ## check the model of the protocols, and that it needs each of its rules
	@.venv/bin/python -m tests.model

mutants: .venv/dev-ready  ## break one promise at a time and see that a test fails: ONLY=refund
	@.venv/bin/python -m tests.mutations $(call option,ONLY,--only)

load: .venv/dev-ready  ## raise the load until latency bends, then check every promise: SEED=8 RATES=10,50
	@.venv/bin/python -m tests.load $(call option,SEED,--seed) $(call option,RATES,--rates) \
	  $(call option,SECONDS,--seconds) $(call option,PAYMENTS,--payments) \
	  $(call option,WITHIN,--within) $(if $(value REPORT),--report)

bench: .venv/dev-ready  ## time each flow against a floor of its calls alone: SECONDS=3 REPORT=1
	@.venv/bin/python -m bench flows $(call option,SECONDS,--seconds) $(if $(value REPORT),--report)

budgets: .venv/dev-ready frontend/node_modules/ready  ## hold the dashboard's first load, the stack's start and calls of AWS to their budgets
	@.venv/bin/python -m bench budgets

growth: .venv/dev-ready  ## time the reads while the table grows: SIZES=1000,100000 ROUNDS=200 REPORT=1
	@.venv/bin/python -m bench growth $(call option,SIZES,--sizes) $(call option,ROUNDS,--rounds) \
	  $(if $(value REPORT),--report)

exports: .venv/dev-ready  ## write a large export with its worker killed in between, and count it again: PAYMENTS=100000 REPORT=1
	@.venv/bin/python -m bench exports $(call option,PAYMENTS,--payments) $(if $(value REPORT),--report)

cold-start: .venv/dev-ready  ## time new processes to their first answer, beside a floor: ROUNDS=25 REPORT=1
	@.venv/bin/python -m bench cold-start $(call option,ROUNDS,--rounds) $(if $(value REPORT),--report)

costs: .venv/dev-ready  ## write docs/reports/costs.md: what a million payments cost, from recorded calls
	@.venv/bin/python -m bench costs

scaling: .venv/dev-ready  ## write docs/reports/scaling.md: where the tables saturate
	@.venv/bin/python -m bench scaling

lock:  ## pin all packages, after a change of a requirements file
	@$(PYTHON_3) -m infra.checks.lock

audit:  ## ask PyPI and npm for known vulnerabilities in the locked packages
	@$(PYTHON_3) -m infra.checks.audit

##@ Deploy

# After `--`, no value is an option.
THIS_STAGE := -- $(if $(value STAGE),"$$STAGE")

package: .package/ready  ## build what AWS gets, dist/STAGE: STAGE=dev
	@.package/bin/python -m infra.deploy.package $(THIS_STAGE)

bootstrap: .package/ready  ## set up an AWS account, once: STAGE=dev SUBJECT=repo:… REPOSITORY_ID=… [EMAIL=…]
	@.package/bin/python -m infra.deploy.bootstrap \
	  $(call option,SUBJECT,--subject) $(call option,REPOSITORY_ID,--repository-id) \
	  $(call option,EMAIL,--email) \
	  $(call option,DOMAIN,--domain) $(call option,CERTIFICATE,--certificate) \
	  $(call option,API_DOMAIN,--api-domain) $(call option,API_CERTIFICATE,--api-certificate) \
	  $(call option,FLOOD_LIMIT,--flood-limit) $(THIS_STAGE)

deploy: package  ## build the package and deploy it: STAGE=dev ORIGIN=https://… [EMAIL=…] [BUCKET=…]
	@.package/bin/python -m infra.deploy.deploy $(call option,ORIGIN,--origin) \
	  $(call option,EMAIL,--email) $(call option,BUCKET,--bucket) \
	  $(call option,RESTORED,--restored) $(THIS_STAGE)

policies: .venv/ready  ## write plain Chalice's policy files, after a change of infra/policies
	@.venv/bin/python -m infra.deploy.policies

##@ Operate

LOCAL_UNLESS_TOLD := -- "$${STAGE:-local}"

key: .venv/ready  ## create an API key: STAGE=local NAME=… SCOPES=read,write,admin
	@.venv/bin/python -m infra.ops.key $(call option,NAME,--name) $(call option,SCOPES,--scopes) \
	  $(LOCAL_UNLESS_TOLD)

requeue: .venv/ready  ## enqueue all unfinished work again: STAGE=local [OLDER_THAN=5d]
	@.venv/bin/python -m infra.ops.requeue $(LOCAL_UNLESS_TOLD) $(if $(value OLDER_THAN),"$$OLDER_THAN")

redrive: .venv/ready  ## move dead letters back: STAGE=local [QUEUE=webhooks|deliveries|exports] [N=…] [DRY_RUN=1]
	@.venv/bin/python -m infra.ops.redrive $(call option,QUEUE,--queue) $(call option,N,--most) \
	  $(if $(value DRY_RUN),--dry-run) $(LOCAL_UNLESS_TOLD)

count-refunds: .venv/ready  ## count refunds that a version before 0.3 settled: STAGE=local
	@.venv/bin/python -m infra.ops.count_refunds $(LOCAL_UNLESS_TOLD)

index-payments: .venv/ready  ## put what a version before 0.4 wrote into the feed and the search: STAGE=local
	@.venv/bin/python -m infra.ops.index_payments $(LOCAL_UNLESS_TOLD)

move-secrets: .venv/ready  ## encrypt webhook secrets in rows of their own: STAGE=local [BACK=1 before a rollback]
	@.venv/bin/python -m infra.ops.move_secrets $(if $(value BACK),--back) $(LOCAL_UNLESS_TOLD)

restore: .venv/ready  ## restore the tables beside those in use: STAGE=local AT=2026-11-25T12:00:00Z
	@.venv/bin/python -m infra.ops.restore $(LOCAL_UNLESS_TOLD) $(if $(value AT),"$$AT")

switch: .venv/ready  ## use restored tables: STAGE=local RESTORED=20261125T120000Z (or first)
	@.venv/bin/python -m infra.ops.switch $(LOCAL_UNLESS_TOLD) $(if $(value RESTORED),"$$RESTORED")
