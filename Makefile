# The verbs of this project. Each makes what it needs, its own virtual environment included, and a second run does
# only what changed. CI calls these same verbs. `make help` lists them.
#
# PYTHON=python3.13 chooses the interpreter; ARGS="tests/unit -k lanes" goes to pytest, or to the demo. What is installed
# from the index is what requirements/ names, by version and hash; `make lock` writes that anew.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test build debug check autobahn bench bench-publish wheel release lock audit workflows image \
	image-check clean

PYTHON ?= python3
ARGS ?=
IMAGE ?= fastbridge

VENV := .venv
DEBUG_VENV := .venv-debug
RELEASE_VENV := .venv-release
SANITIZERS := address,undefined
PREFLIGHT := .ci/preflight

# Folders too: their time stamps tell of files that went away.
SOURCES := setup.py pyproject.toml README.md LICENSE sim/pyproject.toml sim/README.md \
	$(shell find src/fastbridge \( -name __pycache__ -prune \) -o \( -type f -o -type d \) ! -name '*.so' -print)
COMPILED := $(patsubst src/fastbridge/%.pyi,fastbridge.%,$(wildcard src/fastbridge/_*.pyi))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

# $(call install,VENV,KIND): both distributions, compiled in build/KIND and sim/build/KIND, where each module says so, then
# installed, where neither is: one whose files went over to the other would take them along as it goes. Modules kept from an
# earlier build stay, everything else there goes, or a deleted file would live on in the wheel.
define install
	@for each in . sim; do find $$each/build/$(2)/lib* -type f ! -name '*.so' -delete 2>/dev/null || true; done
	@for each in . sim; do (cd $$each && $(CURDIR)/$(1)/bin/python setup.py -q build_ext) || exit 1; done
	@echo "installing fastbridge in $(1)"
	@$(1)/bin/python -m pip uninstall -qq -y fastbridge fastbridge-sim 2>/dev/null || true
	@$(1)/bin/python -m pip install -qq --no-deps --no-build-isolation . ./sim
endef

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r verb what; do \
		printf '  make %-12s %s\n' "$$verb" "$$what"; done

demo: $(VENV)/.installed ## a simulated phone call through the real node: no account, no network
	@$(VENV)/bin/fastbridge demo $(ARGS)

# The end-to-end tests keep real time: those that wait for deadlines wait six at once, those that hold calls four, those
# that judge when each frame comes run by themselves. What fails beside others is asked again without them, once, and said.
# $(call end_to_end,OPTIONS)
define end_to_end
	@$(VENV)/bin/python -m pytest $(1) tests/e2e || { [ $$? = 1 ] && \
		echo "== asked again, by themselves: those that have failed above. Not to be relied on if they pass: find out why." && \
		$(VENV)/bin/python -m pytest --last-failed --last-failed-no-failures none tests/e2e; }
endef

test: $(VENV)/.installed ## the tests, on the installed package
	@$(VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),-n auto --ignore=tests/e2e)
	$(if $(ARGS),,$(call end_to_end,-n 6 --dist loadgroup -m "not (alone or four)"))
	$(if $(ARGS),,$(call end_to_end,-n 4 --dist loadgroup -m four))
	$(if $(ARGS),,$(call end_to_end,-m alone))

build: $(VENV)/.installed ## compile and install into .venv

debug: $(DEBUG_VENV)/.installed ## the tests that touch a compiled module, on the checked build with its sanitizers
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so):$$(gcc -print-file-name=libubsan.so):$$(gcc -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		$(DEBUG_VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),-n auto --compiled tests/unit tests/property)

check: $(VENV)/.installed ## ruff, mypy --strict, and the .pyi against the compiled modules
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/python -m mypy.stubtest --concise --ignore-disjoint-bases --ignore-unused-allowlist \
		--allowlist .ci/stubtest.allow --mypy-config-file pyproject.toml $(COMPILED)
	@echo "check: clean"

# The suite runs on Python 2.7 (PYTHON2=... names one), in an environment of its own in .autobahn.
autobahn: $(VENV)/.installed ## the Autobahn test suite of RFC 6455 against both sockets; needs Python 2.7
	@$(VENV)/bin/python -m tools.autobahn.run

# Generous floors on ratios within this run; no time is judged. ARGS="-k dsp" measures some (and misses the others' floors).
bench: $(VENV)/.installed ## measure: each compiled kernel against its slow twin, then both bridges under load
	@mkdir -p build/bench
	@cd bench && ../$(VENV)/bin/python -m pytest -qq --benchmark-quiet --benchmark-json=../build/bench/kernels.json $(ARGS)
	@$(VENV)/bin/python bench/load.py --seconds 10 --out build/bench
	@$(VENV)/bin/python bench/compare.py build/bench/kernels.json --load build/bench/results.json

bench-publish: $(VENV)/.installed ## measure both bridges under load for half an hour, and write the figures into bench/
	@$(VENV)/bin/python bench/load.py --rounds 3 --calls 100,200,400,700,1000 --baseline-up-to 200 $(ARGS)

wheel: $(VENV)/.tools ## the sdists, the wheels from them, and the tests on those wheels with the newest of all it needs
	@rm -rf dist build/wheel src/*.egg-info && mkdir -p build/wheel
	@echo "building the sdists, and the wheels from them"
	@for each in . sim; do $(VENV)/bin/python -m build --outdir dist $$each >build/wheel/log 2>&1 || \
		{ cat build/wheel/log; exit 1; }; done
	@tar -xzf dist/fastbridge-*.tar.gz -C build/wheel --strip-components=1
	@$(PYTHON) -m venv build/wheel/venv
	@build/wheel/venv/bin/python -m pip install -qq --find-links dist "$$(ls dist/fastbridge-*.whl)[test]"
	@cd build/wheel && venv/bin/python -m pytest $(ARGS)
	@ls -l dist | awk 'NR > 1 { print $$5, "bytes", $$9 }'

release: wheel $(RELEASE_VENV)/.tools ## what a tag publishes: sdists and wheels with their metadata judged, and the image's bill of materials
	@$(RELEASE_VENV)/bin/twine check --strict dist/*
	@$(RELEASE_VENV)/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
		--of JSON --output-file build/fastbridge.cdx.json requirements/run.txt
	@ls -l build/*.cdx.json | awk '{ print $$5, "bytes", $$9 }'

# For every Python and system at once. Versions stay what they are where they can: ARGS=--upgrade raises them all.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(RELEASE_VENV)/bin/uv pip compile --quiet --universal --generate-hashes \
	--python-version 3.11 --no-annotate $(ARGS)
lock: $(RELEASE_VENV)/.tools ## write requirements/ anew from pyproject.toml and sim's; ARGS=--upgrade for the newest versions
	@$(RELEASE_VENV)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		>$(RELEASE_VENV)/build.in
	@$(LOCK) --output-file requirements/build.txt $(RELEASE_VENV)/build.in
	@$(LOCK) --extra patterns --output-file requirements/run.txt pyproject.toml
	@printf 'fastbridge @ file://%s\nfastbridge-sim @ file://%s/sim\n' "$(CURDIR)" "$(CURDIR)" >$(RELEASE_VENV)/ours.in
	@$(LOCK) --output-file requirements/dev.txt --all-extras --constraints requirements/run.txt --constraints requirements/build.txt \
		--overrides $(RELEASE_VENV)/ours.in --no-emit-package fastbridge --no-emit-package fastbridge-sim \
		pyproject.toml $(RELEASE_VENV)/build.in
	@$(LOCK) --output-file requirements/release.txt --group release

audit: $(RELEASE_VENV)/.tools ## ask the package index for known holes in what requirements/ names
	@for each in requirements/*.txt; do echo "$$each"; $(RELEASE_VENV)/bin/pip-audit --strict --progress-spinner off --disable-pip \
		--require-hashes --requirement $$each || exit 1; done

workflows: $(RELEASE_VENV)/.tools ## what zizmor says of the workflows
	@$(RELEASE_VENV)/bin/zizmor --quiet --offline .github

image: ## the container image
	@docker build --tag $(IMAGE) .

image-check: ## the Dockerfile's steps in a scratch folder, without Docker
	@$(PREFLIGHT) $(PYTHON)
	@$(PYTHON) .ci/image_check.py

clean: ## remove everything the verbs made
	@rm -rf .venv .venv-* .autobahn build sim/build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis fastbridge-demo*
	@find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@find src -name '*.so' -delete

# --- what the verbs stand on -----------------------------------------------------------------------------------------

$(VENV)/.made $(DEBUG_VENV)/.made $(RELEASE_VENV)/.made:
	@$(PREFLIGHT) $(PYTHON)
	@echo "making $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@touch $@

# All that the verbs need, once, so that a rebuild needs no network.
$(VENV)/.tools: requirements/dev.txt $(VENV)/.made
$(DEBUG_VENV)/.tools: requirements/dev.txt $(DEBUG_VENV)/.made
$(RELEASE_VENV)/.tools: requirements/release.txt $(RELEASE_VENV)/.made
$(VENV)/.tools $(DEBUG_VENV)/.tools $(RELEASE_VENV)/.tools:
	@echo "installing $< in $(@D)"
	@$(@D)/bin/python -m pip install -qq --require-hashes -r $<
	@touch $@

# Cython's directives are not in its time stamps: when setup.py changes, its builds start afresh.
build/release/.setup build/sanitized/.setup: setup.py
	@rm -rf $(@D) sim/$(@D) && mkdir -p $(@D) && touch $@

$(VENV)/.installed: $(SOURCES) $(VENV)/.tools build/release/.setup
	$(call install,$(VENV),release)
	@touch $@

$(DEBUG_VENV)/.installed: export FASTBRIDGE_DEBUG = 1
$(DEBUG_VENV)/.installed: export FASTBRIDGE_SANITIZE = $(SANITIZERS)
$(DEBUG_VENV)/.installed: $(SOURCES) $(DEBUG_VENV)/.tools build/sanitized/.setup
	$(call install,$(DEBUG_VENV),sanitized)
	@touch $@
