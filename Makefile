# The verbs of this project. Each makes what it needs, its own virtual environment included, and a second run does
# only what changed. CI calls these same verbs. `make help` lists them.
#
# PYTHON=python3.13 chooses the interpreter; ARGS="tests/unit -k lanes" goes to pytest, or to the demo.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test build debug check autobahn bench bench-publish wheel image image-check clean

PYTHON ?= python3
ARGS ?=
IMAGE ?= fastbridge

VENV := .venv
DEBUG_VENV := .venv-debug
SANITIZERS := address,undefined
PREFLIGHT := .ci/preflight

# Folders too: their time stamps tell of files that went away.
SOURCES := setup.py pyproject.toml README.md LICENSE \
	$(shell find src/fastbridge \( -name __pycache__ -prune \) -o \( -type f -o -type d \) ! -name '*.so' -print)
COMPILED := $(patsubst src/fastbridge/%.pyi,fastbridge.%,$(wildcard src/fastbridge/_*.pyi))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PYTHONPATH PYTHONHOME

# $(call install,VENV,EXTRA,KIND): the package with an extra, compiled in build/KIND. Modules kept from an earlier build
# stay, everything else there goes, or a deleted file would live on in the wheel.
define install
	@echo "installing fastbridge[$(2)] in $(1)"
	@if [ -d build/$(3) ]; then find build/$(3)/lib* -type f ! -name '*.so' -delete 2>/dev/null || true; fi
	@$(1)/bin/python -m pip install -qq --no-build-isolation '.[$(2)]'
endef

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r verb what; do \
		printf '  make %-12s %s\n' "$$verb" "$$what"; done

demo: $(VENV)/.demo ## a simulated phone call through the real node: no account, no network
	@$(VENV)/bin/fastbridge demo $(ARGS)

# The end-to-end tests keep real time: those that wait for deadlines wait side by side, those that judge when frames come
# run by themselves.
test: $(VENV)/.test ## the tests, on the installed package
	@$(VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),-n auto --ignore=tests/e2e)
	@$(if $(ARGS),,$(VENV)/bin/python -m pytest -n 6 --dist loadgroup -m "not alone" tests/e2e)
	@$(if $(ARGS),,$(VENV)/bin/python -m pytest -m alone tests/e2e)

build: $(VENV)/.test ## compile and install into .venv

debug: $(DEBUG_VENV)/.test ## the unit tests on the checked build, with the address and undefined-behaviour sanitizers
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so):$$(gcc -print-file-name=libubsan.so):$$(gcc -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		$(DEBUG_VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),-n auto tests/unit)

check: $(VENV)/.dev ## ruff, mypy --strict, and the .pyi against the compiled modules
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/python -m mypy.stubtest --concise --ignore-disjoint-bases --ignore-unused-allowlist \
		--allowlist .ci/stubtest.allow --mypy-config-file pyproject.toml $(COMPILED)
	@echo "check: clean"

# The suite runs on Python 2.7 (PYTHON2=... names one), in an environment of its own in .autobahn.
autobahn: $(VENV)/.test ## the Autobahn test suite of RFC 6455 against both sockets; needs Python 2.7
	@$(VENV)/bin/python -m tools.autobahn.run

# Generous floors on ratios within this run; no time is judged. ARGS="-k dsp" measures some (and misses the others' floors).
bench: $(VENV)/.bench ## measure: each compiled kernel against its slow twin, then both bridges under load
	@mkdir -p build/bench
	@cd bench && ../$(VENV)/bin/python -m pytest -qq --benchmark-quiet --benchmark-json=../build/bench/kernels.json $(ARGS)
	@$(VENV)/bin/python bench/load.py --seconds 10 --out build/bench
	@$(VENV)/bin/python bench/compare.py build/bench/kernels.json --load build/bench/results.json

bench-publish: $(VENV)/.bench ## measure both bridges under load for half an hour, and write the figures into bench/
	@$(VENV)/bin/python bench/load.py --rounds 3 --calls 100,200,400,700,1000 --baseline-up-to 200 $(ARGS)

wheel: $(VENV)/.dev ## sdist, the wheel from the sdist, and the tests on that wheel in a fresh environment
	@rm -rf dist build/wheel src/*.egg-info && mkdir -p build/wheel
	@echo "building the sdist, and the wheel from it"
	@$(VENV)/bin/python -m build --outdir dist . >build/wheel/log 2>&1 || { cat build/wheel/log; exit 1; }
	@tar -xzf dist/*.tar.gz -C build/wheel --strip-components=1 && rm -rf build/wheel/src
	@$(PYTHON) -m venv build/wheel/venv
	@build/wheel/venv/bin/python -m pip install -qq "$$(ls dist/*.whl)[test]"
	@cd build/wheel && venv/bin/python -m pytest $(ARGS)
	@ls -l dist | awk 'NR > 1 { print $$5, "bytes", $$9 }'

image: ## the container image
	@docker build --tag $(IMAGE) .

image-check: ## the Dockerfile's steps in a scratch folder, without Docker
	@$(PREFLIGHT) $(PYTHON)
	@$(PYTHON) .ci/image_check.py

clean: ## remove everything the verbs made
	@rm -rf .venv .venv-* .autobahn build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis fastbridge-demo*
	@find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@find src -name '*.so' -delete

# --- what the verbs stand on -----------------------------------------------------------------------------------------

$(VENV)/.made $(DEBUG_VENV)/.made:
	@$(PREFLIGHT) $(PYTHON)
	@echo "making $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@touch $@

# What pyproject.toml wants for building, once, so that a rebuild needs no network.
$(VENV)/.tools $(DEBUG_VENV)/.tools: pyproject.toml
$(VENV)/.tools: $(VENV)/.made
$(DEBUG_VENV)/.tools: $(DEBUG_VENV)/.made
$(VENV)/.tools $(DEBUG_VENV)/.tools:
	@$(@D)/bin/python -m pip install -qq $$($(@D)/bin/python -c \
		'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
	@touch $@

# Cython's directives are not in its time stamps: when setup.py changes, its builds start afresh.
build/release/.setup build/sanitized/.setup: setup.py
	@rm -rf $(@D) && mkdir -p $(@D) && touch $@

$(VENV)/.demo: $(SOURCES) $(VENV)/.tools build/release/.setup
	$(call install,$(VENV),demo,release)
	@touch $@

$(VENV)/.test: $(SOURCES) $(VENV)/.tools build/release/.setup
	$(call install,$(VENV),test,release)
	@touch $(VENV)/.demo $@

$(VENV)/.dev: $(SOURCES) $(VENV)/.tools build/release/.setup
	$(call install,$(VENV),dev,release)
	@touch $(VENV)/.demo $(VENV)/.test $@

$(VENV)/.bench: $(SOURCES) $(VENV)/.tools build/release/.setup
	$(call install,$(VENV),bench,release)
	@touch $@

$(DEBUG_VENV)/.test: export FASTBRIDGE_DEBUG = 1
$(DEBUG_VENV)/.test: export FASTBRIDGE_SANITIZE = $(SANITIZERS)
$(DEBUG_VENV)/.test: $(SOURCES) $(DEBUG_VENV)/.tools build/sanitized/.setup
	$(call install,$(DEBUG_VENV),test,sanitized)
	@touch $@
