# PayFlow's commands. `make run` and `make test` are all that a newcomer needs.

.DEFAULT_GOAL := help
.PHONY: help run seed reset hint-stuck key package bootstrap deploy chalice-deploy test e2e screenshots types costs scaling check format clean
SHELL := /bin/sh

# The first Python on this machine that is new enough; infra/install.py says so if none is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-23s%s\n", $$1, $$2}'

.venv/ready: requirements.txt requirements-dev.txt infra/install.py
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

hint-stuck: .venv/ready  ## send the hints of what the sweeper has given up: STAGE=local
	@.venv/bin/python -m infra.hint_stuck "$(or $(STAGE),local)"

key: .venv/ready  ## make an API key: STAGE=local NAME=… SCOPES=read,write,admin
	@.venv/bin/python -m infra.key --stage "$(or $(STAGE),local)" --name "$(NAME)" --scopes "$(SCOPES)"

package: .venv/ready  ## make dist/STAGE, what AWS is given: make package STAGE=dev
	@.venv/bin/python -m infra.package $(STAGE)

bootstrap: .venv/ready  ## into an AWS account, once: STAGE=dev SUBJECT=repo:…:ref:refs/heads/main
	@.venv/bin/python -m infra.bootstrap $(STAGE) --subject '$(SUBJECT)' --email '$(EMAIL)' \
	  --domain '$(DOMAIN)' --certificate '$(CERTIFICATE)' \
	  --api-domain '$(API_DOMAIN)' --api-certificate '$(API_CERTIFICATE)'

deploy: package  ## make the package and bring it to AWS: STAGE=dev ORIGIN=https://… [EMAIL=…] [BUCKET=…]
	@.venv/bin/python -m infra.deploy $(STAGE) --origin '$(ORIGIN)' --email '$(EMAIL)' --bucket '$(BUCKET)'

chalice-deploy: .venv/ready  ## the same by plain `chalice deploy`, which leaves some of it out
	@.venv/bin/python -m infra.chalice_deploy $(STAGE) --origin '$(ORIGIN)' --email '$(EMAIL)'

test: .venv/ready frontend/node_modules/ready  ## run all tests but the browser's
	@$(FRONTEND) test
	@.venv/bin/python -m pytest

e2e: .venv/ready frontend/node_modules/ready  ## test the dashboard in a browser, on the local stack
	@.venv/bin/python -m infra.browser npm run --silent --prefix frontend e2e

screenshots: .venv/ready frontend/node_modules/ready  ## take the pictures of every page, the README's among them
	@.venv/bin/python -m infra.browser npm run --silent --prefix frontend screenshots

types: .venv/ready frontend/node_modules/ready  ## generate the dashboard's types from the API
	@.venv/bin/python -m infra.openapi > frontend/openapi.json
	@$(FRONTEND) types

costs: .venv/ready  ## write docs/costs.md: what a million payments cost, from recorded calls
	@.venv/bin/python -m sizing.costs

scaling: .venv/ready  ## write docs/scaling.md and its plots: where the tables saturate
	@.venv/bin/python -m sizing.scaling

check: .venv/ready frontend/node_modules/ready  ## lint, formatting, types, templates and workflows
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/cfn-lint infra/backend.yaml infra/frontend-stack.yaml
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@.venv/bin/zizmor --offline --quiet --no-progress .github
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
