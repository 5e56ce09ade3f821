# PayFlow's commands. `make run` and `make test` are all that a newcomer needs.

.DEFAULT_GOAL := help
.PHONY: help run seed reset hint redrive restore switch key package bootstrap deploy chalice-deploy lock audit test test-dynamodb-local fuzz crash model mutants e2e screenshots load bench cold-start budgets growth types costs scaling check format clean
SHELL := /bin/sh

# The first Python on this machine that is new enough; infra/install.py says so if none is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-28s%s\n", $$1, $$2}'

.venv/ready: requirements-dev.lock infra/install.py
	@$(PYTHON) infra/install.py

frontend/node_modules/ready: frontend/package-lock.json
	@$(PYTHON) infra/install.py frontend

# The stack runs without its dashboard where that is not wanted, or where there is no Node.
ifeq ($(PAYFLOW_DASHBOARD),off)
export PAYFLOW_DASHBOARD
RUNS := .venv/ready
else
RUNS := .venv/ready frontend/node_modules/ready
endif
FRONTEND := cd frontend && npm run --silent

run: $(RUNS)  ## run the whole gateway on this machine, until Ctrl-C
	@.venv/bin/python -m infra.local

seed: .venv/ready  ## make believable payments on the running local stack: N=300
	@.venv/bin/python -m infra.seed "$(or $(N),300)"

reset: .venv/ready  ## empty the stopped local stack: tables, queues and logs
	@.venv/bin/python -m infra.local reset

hint: .venv/ready  ## send the hints of what is unfinished: STAGE=local [OLDER_THAN=5d]
	@.venv/bin/python -m infra.hint "$(or $(STAGE),local)" $(OLDER_THAN)

redrive: .venv/ready  ## bring dead letters back: STAGE=local [QUEUE=webhooks|deliveries] [N=…] [DRY_RUN=1]
	@.venv/bin/python -m infra.redrive "$(or $(STAGE),local)" $(if $(QUEUE),--queue '$(QUEUE)') \
	  $(if $(N),--most '$(N)') $(if $(DRY_RUN),--dry-run)

restore: .venv/ready  ## restore the tables beside those in use: STAGE=local AT=2026-11-25T12:00:00Z
	@.venv/bin/python -m infra.restore "$(or $(STAGE),local)" '$(AT)'

switch: .venv/ready  ## run on restored tables: STAGE=local RESTORED=20261125T120000Z (or first)
	@.venv/bin/python -m infra.switch "$(or $(STAGE),local)" '$(RESTORED)'

key: .venv/ready  ## make an API key: STAGE=local NAME=… SCOPES=read,write,admin
	@.venv/bin/python -m infra.key --stage "$(or $(STAGE),local)" --name "$(NAME)" --scopes "$(SCOPES)"

package: .venv/ready  ## make dist/STAGE, what AWS is given: make package STAGE=dev
	@.venv/bin/python -m infra.package $(STAGE)

bootstrap: .venv/ready  ## into an AWS account, once: STAGE=dev SUBJECT=repo:…:ref:refs/heads/main
	@.venv/bin/python -m infra.bootstrap $(STAGE) --subject '$(SUBJECT)' --email '$(EMAIL)' \
	  --domain '$(DOMAIN)' --certificate '$(CERTIFICATE)' \
	  --api-domain '$(API_DOMAIN)' --api-certificate '$(API_CERTIFICATE)'

deploy: package  ## make the package and bring it to AWS: STAGE=dev ORIGIN=https://… [EMAIL=…] [BUCKET=…]
	@.venv/bin/python -m infra.deploy $(STAGE) --origin '$(ORIGIN)' --email '$(EMAIL)' --bucket '$(BUCKET)' --restored '$(RESTORED)'

chalice-deploy: .venv/ready  ## the same by plain `chalice deploy`, which leaves some of it out
	@.venv/bin/python -m infra.chalice_deploy $(STAGE) --origin '$(ORIGIN)' --email '$(EMAIL)'

lock:  ## lock what requirements.txt and requirements-dev.txt say, after a change
	@$(PYTHON) -m infra.supply lock

audit:  ## ask PyPI and npm what is known against what is locked
	@$(PYTHON) -m infra.supply audit

# A test file at a time in each process: its tests share what they have started.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile
test: .venv/ready frontend/node_modules/ready  ## run all tests but the browser's
	@$(FRONTEND) test
	@heard=$$(mktemp -d) && trap 'rm -r "$$heard"' EXIT && export PAYFLOW_TEST_HEARD_IN="$$heard" && \
	  .venv/bin/python -m pytest $(SIDE_BY_SIDE) --ignore=tests/test_least_privilege.py && \
	  .venv/bin/python -m pytest tests/test_least_privilege.py

# What the engine may make a difference to: races, outages and kills.
ON_THE_ENGINE := dynamodb_local races outages lifecycle money_back webhooks totals_and_logs recovery
test-dynamodb-local: .venv/ready frontend/node_modules/ready  ## test the stack and the browser again, on AWS's DynamoDB Local
	@PAYFLOW_DYNAMODB=dynamodb-local .venv/bin/python -m pytest $(SIDE_BY_SIDE) $(ON_THE_ENGINE:%=tests/stack/test_%.py) \
	  --deselect=tests/stack/test_recovery.py::test_a_stage_runs_on_as_it_was_at_a_moment_and_what_came_later_is_named
	@PAYFLOW_DYNAMODB=dynamodb-local .venv/bin/python -m infra.browser \
	  npm run --silent --prefix frontend e2e -- payments refunds webhooks

fuzz: .venv/ready  ## hold the API against its own document by made-up requests: SEED=1 EXAMPLES=10
	@SEED='$(SEED)' EXAMPLES='$(EXAMPLES)' .venv/bin/python -m pytest tests/fuzz/fuzz_api.py -v

crash: .venv/ready  ## kill, stop and cut off the handlers at their calls: SEED=… FAULTS=…
	@.venv/bin/python -m tests.crash --seed '$(or $(SEED),1)' --faults '$(or $(FAULTS),10000)' \
	  $(if $(REPORT),--report '$(REPORT)') $(if $(LANE),--lane '$(LANE)' --chapter '$(CHAPTER)')

model: .venv/ready  ## explore the model of the protocols, and what each rule in it is for
	@.venv/bin/python -m tests.model

mutants: .venv/ready frontend/node_modules/ready  ## break one promise at a time and see that a test fails: ONLY=name
	@.venv/bin/python -m tests.mutations $(if $(ONLY),--only '$(ONLY)')

e2e: .venv/ready frontend/node_modules/ready  ## test the dashboard in a browser, on the local stack
	@.venv/bin/python -m infra.browser npm run --silent --prefix frontend e2e

screenshots: .venv/ready frontend/node_modules/ready  ## take the pictures of every page, the README's among them
	@.venv/bin/python -m infra.browser npm run --silent --prefix frontend screenshots

load: .venv/ready  ## offer mixed traffic until latency bends, then check every promise: SEED=8 RATES=10,50
	@.venv/bin/python -m tests.load $(if $(SEED),--seed '$(SEED)') $(if $(RATES),--rates '$(RATES)') \
	  $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(PAYMENTS),--payments '$(PAYMENTS)') \
	  $(if $(WITHIN),--within '$(WITHIN)') $(if $(RUNNING),--running) $(if $(REPORT),--report '$(REPORT)')

bench: .venv/ready  ## time each flow against a floor of its calls alone: SECONDS=3
	@.venv/bin/python -m bench $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(REPORT),--report '$(REPORT)')

budgets: .venv/ready frontend/node_modules/ready  ## hold the dashboard's first load and the stack's start to their budgets
	@.venv/bin/python -m bench.budgets

growth: .venv/ready  ## time the reads while the table grows: SIZES=1000,100000 ROUNDS=200 REPORT=…
	@.venv/bin/python -m bench.growth $(if $(SIZES),--sizes '$(SIZES)') \
	  $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(REPORT),--report '$(REPORT)')

types: .venv/ready frontend/node_modules/ready  ## generate the dashboard's types from the API
	@.venv/bin/python -m infra.openapi > frontend/openapi.json
	@$(FRONTEND) types

costs: .venv/ready  ## write docs/costs.md: what a million payments cost, from recorded calls
	@.venv/bin/python -m sizing.costs

scaling: .venv/ready  ## write docs/scaling.md and its plots: where the tables saturate
	@.venv/bin/python -m sizing.scaling

cold-start: .venv/ready  ## time new processes to their first answer, beside a floor: ROUNDS=25
	@.venv/bin/python -m bench.cold_start $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	  $(if $(REPORT),--report '$(REPORT)')

check: .venv/ready frontend/node_modules/ready  ## lint, formatting, types, templates, workflows and secrets
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/cfn-lint infra/backend.yaml infra/frontend-stack.yaml
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@.venv/bin/zizmor --offline --quiet --no-progress .github
	@.venv/bin/python -m infra.leaks
	@.venv/bin/python -m infra.openapi > frontend/openapi.json
	@$(FRONTEND) types -- --check
	@$(FRONTEND) check

format: .venv/ready frontend/node_modules/ready  ## format the code and mend what ruff can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@$(FRONTEND) format

clean:  ## remove everything that make made, the local stack's data included
	@rm -rf .venv .payflow dist frontend/node_modules frontend/dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .tools
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
