# PayFlow's commands. A newcomer needs only `make run` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help run seed reset clean test coverage check format types e2e screenshots test-dynamodb-local fuzz crash model mutants load bench budgets growth cold-start costs scaling lock audit package bootstrap deploy policies key requeue redrive move-secrets restore switch
SHELL := /bin/sh

# The first installed Python that is new enough; infra/local/install.py reports if none is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)

.venv/ready: requirements-run.lock infra/local/install.py
	@$(PYTHON) infra/local/install.py run

# What tests, checks and benchmarks need on top; `make run` does not wait for it.
.venv/dev-ready: .venv/ready requirements-dev.lock
	@$(PYTHON) infra/local/install.py dev

frontend/node_modules/ready: frontend/package-lock.json
	@$(PYTHON) infra/local/install.py frontend

# PAYFLOW_DASHBOARD=off runs the stack without its dashboard, and so without Node.
ifeq ($(PAYFLOW_DASHBOARD),off)
export PAYFLOW_DASHBOARD
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
	@.venv/bin/python -m infra.local.seed "$(or $(N),300)"

reset: .venv/ready  ## empty the stopped local stack: tables, queues and logs
	@.venv/bin/python -m infra.local reset

clean:  ## remove everything that make created, the local stack's data included
	@rm -rf .venv .payflow dist frontend/node_modules frontend/dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .tools .coverage htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Check

# One test file at a time in each process, since its tests share what they have started; in the order
# of tests/conftest.py, the longest first. Three processes also on two CPUs: stack tests mostly wait.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
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

# What the engine may make a difference to: races, outages and kills.
ON_THE_ENGINE := dynamodb_local races outages lifecycle recovery
test-dynamodb-local: .venv/dev-ready frontend/node_modules/ready  ## repeat the stack's tests on AWS's DynamoDB Local
	@PAYFLOW_TEST_DYNAMODB=dynamodb-local .venv/bin/python -m pytest $(SIDE_BY_SIDE) $(ON_THE_ENGINE:%=tests/stack/test_%.py) \
	  --deselect=tests/stack/test_recovery.py::test_a_stage_runs_on_as_it_was_at_a_moment_and_what_came_later_is_named

fuzz: .venv/dev-ready  ## test the API with generated requests: SEED=1 EXAMPLES=10
	@SEED='$(SEED)' EXAMPLES='$(EXAMPLES)' .venv/bin/python -m pytest tests/fuzz/fuzz_api.py -v

crash: .venv/dev-ready  ## kill, stop and disconnect the handlers at each call: SEED=1 FAULTS=10000
	@.venv/bin/python -m tests.crash --seed '$(or $(SEED),1)' --faults '$(or $(FAULTS),10000)' \
	  $(if $(REPORT),--report '$(REPORT)') $(if $(LANE),--lane '$(LANE)' --chapter '$(CHAPTER)')

model: .venv/dev-ready  ## check the model of the protocols, and that it needs each of its rules
	@.venv/bin/python -m tests.model

mutants: .venv/dev-ready  ## break one promise at a time and see that a test fails: ONLY=refund
	@.venv/bin/python -m tests.mutations $(if $(ONLY),--only '$(ONLY)')

load: .venv/dev-ready  ## raise the load until latency bends, then check every promise: SEED=8 RATES=10,50
	@.venv/bin/python -m tests.load $(if $(SEED),--seed '$(SEED)') $(if $(RATES),--rates '$(RATES)') \
	  $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(PAYMENTS),--payments '$(PAYMENTS)') \
	  $(if $(WITHIN),--within '$(WITHIN)') $(if $(REPORT),--report)

bench: .venv/dev-ready  ## time each flow against a floor of its calls alone: SECONDS=3 REPORT=1
	@.venv/bin/python -m bench flows $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(REPORT),--report)

budgets: .venv/dev-ready frontend/node_modules/ready  ## check the dashboard's first load and the stack's start against their budgets
	@.venv/bin/python -m bench budgets

growth: .venv/dev-ready  ## time the reads while the table grows: SIZES=1000,100000 ROUNDS=200 REPORT=1
	@.venv/bin/python -m bench growth $(if $(SIZES),--sizes '$(SIZES)') \
	  $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(REPORT),--report)

cold-start: .venv/dev-ready  ## time new processes to their first answer, beside a floor: ROUNDS=25 REPORT=1
	@.venv/bin/python -m bench cold-start $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	  $(if $(REPORT),--report)

costs: .venv/dev-ready  ## write docs/reports/costs.md: what a million payments cost, from recorded calls
	@.venv/bin/python -m bench costs

scaling: .venv/dev-ready  ## write docs/reports/scaling.md: where the tables saturate
	@.venv/bin/python -m bench scaling

lock:  ## pin all packages, after a change of a requirements file
	@$(PYTHON) -m infra.checks.lock

audit:  ## ask PyPI and npm for known vulnerabilities in the locked packages
	@$(PYTHON) -m infra.checks.audit

##@ Deploy

package: .venv/ready  ## build what AWS gets, dist/STAGE: STAGE=dev
	@.venv/bin/python -m infra.deploy.package $(STAGE)

bootstrap: .venv/ready  ## set up an AWS account, once: STAGE=dev SUBJECT=repo:…:ref:refs/heads/main
	@.venv/bin/python -m infra.deploy.bootstrap $(STAGE) --subject '$(SUBJECT)' --email '$(EMAIL)' \
	  --domain '$(DOMAIN)' --certificate '$(CERTIFICATE)' \
	  --api-domain '$(API_DOMAIN)' --api-certificate '$(API_CERTIFICATE)'

deploy: package  ## build the package and deploy it: STAGE=dev ORIGIN=https://… [EMAIL=…] [BUCKET=…]
	@.venv/bin/python -m infra.deploy.deploy $(STAGE) --origin '$(ORIGIN)' --email '$(EMAIL)' --bucket '$(BUCKET)' --restored '$(RESTORED)'

policies: .venv/ready  ## write plain Chalice's policy files, after a change of infra/policies
	@.venv/bin/python -m infra.deploy.policies

##@ Operate

key: .venv/ready  ## create an API key: STAGE=local NAME=… SCOPES=read,write,admin
	@.venv/bin/python -m infra.ops.key "$(or $(STAGE),local)" --name "$(NAME)" --scopes "$(SCOPES)"

requeue: .venv/ready  ## enqueue all unfinished work again: STAGE=local [OLDER_THAN=5d]
	@.venv/bin/python -m infra.ops.requeue "$(or $(STAGE),local)" $(OLDER_THAN)

redrive: .venv/ready  ## move dead letters back: STAGE=local [QUEUE=webhooks|deliveries] [N=…] [DRY_RUN=1]
	@.venv/bin/python -m infra.ops.redrive "$(or $(STAGE),local)" $(if $(QUEUE),--queue '$(QUEUE)') \
	  $(if $(N),--most '$(N)') $(if $(DRY_RUN),--dry-run)

move-secrets: .venv/ready  ## encrypt webhook secrets in rows of their own: STAGE=local [BACK=1 before a rollback]
	@.venv/bin/python -m infra.ops.move_secrets "$(or $(STAGE),local)" $(if $(BACK),--back)

restore: .venv/ready  ## restore the tables beside those in use: STAGE=local AT=2026-11-25T12:00:00Z
	@.venv/bin/python -m infra.ops.restore "$(or $(STAGE),local)" '$(AT)'

switch: .venv/ready  ## use restored tables: STAGE=local RESTORED=20261125T120000Z (or first)
	@.venv/bin/python -m infra.ops.switch "$(or $(STAGE),local)" '$(RESTORED)'
