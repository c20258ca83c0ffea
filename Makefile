# Two commands for a fresh machine with Python 3.11, a C compiler and a package index:
#   make demo    installs everything, measures the FSMN-VAD variants, ends with a report's path
#   make test    installs everything, runs the tests but those that are marked long
#   make test-all  runs those too
#   make docs    builds the pages in docs/, in English and Chinese, into build/docs/
# Any of 3.11 to 3.15; the packages of constraints.txt are those of the first.
PYTHON ?= $(shell for v in 3.11 3.12 3.13 3.14 3.15; do \
  python$$v -c '' 2>/dev/null && echo python$$v && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

DOCS_BIN := .venv-docs/bin
DOCS_STAMP := .venv-docs/.installed

.PHONY: demo test test-all lint gate bench truth pythons release translations schemas docs docs-catalogues reference pictures clean

demo: $(STAMP)
	$(BIN)/leakhunt run fsmn-vad

# Threads of OpenMP wait without turning: tests that use torch side by side get along on few cores.
# In the order of the files: those with many short tests, which come last, fill up what the long leave.
# Seven hundred processes import the package: none compiles it anew, whatever the machine is set to.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder
test: $(STAMP)
	$(PYTEST) -m 'not long'

test-all: $(STAMP)
	$(PYTEST)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for file in scenarios/*/scenario.py; do $(BIN)/mypy "$$file" || exit 1; done

# Our own policy, in pyproject.toml: what is known to be clean stays so. And a leak that is planted in
# the real pipeline is found, and named by its line.
gate: $(STAMP)
	OMP_WAIT_POLICY=passive $(BIN)/leakhunt gate --jobs 2
	$(BIN)/python tests/truth/gate_runs.py --clean 0 --planted 1 --check

bench: $(STAMP)
	$(BIN)/python tests/bench/bench_sampling.py
	$(BIN)/python tests/bench/bench_judge.py
	$(BIN)/python tests/bench/bench_instruments.py
	$(BIN)/python tests/bench/bench_dominators.py
	$(BIN)/python tests/bench/bench_report.py
	$(BIN)/python tests/bench/bench_live.py
	$(BIN)/python tests/bench/bench_soak.py
	$(BIN)/python tests/bench/bench_guard.py

# The workloads of the big tables. The caches have a table of their own: they take a minute each.
ZOO := $(addprefix leak-zoo-,bounded native python-heap resources services services-tasks services-web torch-cpu)

# The tables of reports/truth/, anew: some 30 minutes on two cores, some 2 hours for the caches,
# and 30 minutes for the slow calls, most of which they sleep.
truth: $(STAMP)
	rm -f reports/truth/zoo.json reports/truth/hunts.json
	$(BIN)/leakhunt truth $(ZOO) --repeats 4 --clean-repeats 10 --out reports/truth/zoo.json
	$(BIN)/leakhunt truth $(ZOO) --hunt --out reports/truth/hunts.json
	-$(BIN)/python tests/truth/published.py
	-$(BIN)/python tests/truth/suites.py
	$(BIN)/python tests/truth/cache_bounds.py
	$(BIN)/python tests/truth/cache_runs.py --repeats 2 --jobs 2
	$(BIN)/python tests/truth/early_runs.py --jobs 4
	$(BIN)/python tests/truth/psleak_table.py reports/truth/zoo.json
	$(BIN)/python tests/truth/curve_table.py
	$(BIN)/python tests/truth/forecast_table.py
	$(BIN)/python tests/truth/fleet_table.py
	$(BIN)/python tests/truth/allocator_zoo.py --repeats 2
	$(BIN)/python tests/truth/gate_runs.py
	$(BIN)/python tests/truth/limit_runs.py
	$(BIN)/python tests/truth/peak_runs.py
	$(BIN)/python tests/truth/tables.py

# Unit tests, null run, zoo, hunts and soaks on every Python that is here (python3.11 ... python3.15),
# into reports/truth/pythons.json: tests/pythons/run_pythons.py --help, and debian_root.sh for others.
pythons: $(STAMP)
	$(BIN)/python tests/pythons/run_pythons.py
	$(BIN)/python tests/truth/tables.py

# Build wheel and sdist, check both in bare environments; `make release TAG=1` tags the commit then.
release: $(STAMP)
	$(BIN)/python tests/release.py $(if $(TAG),--tag)

# The catalogues of leakhunt/locale: new texts in, old ones out, compiled. The tests say what is missing.
translations: $(STAMP)
	$(BIN)/python tests/catalogue.py

# The published JSON Schemas, from the types of the package and tests/schema_texts.toml.
schemas: $(STAMP)
	$(BIN)/python tests/schemas.py

# The pages, with warnings as errors. Sphinx and the base of the package have an environment of their
# own: neither torch nor the tests are needed to read and write pages.
docs: $(DOCS_STAMP)
	$(DOCS_BIN)/python docs/build.py

# docs/locale: new texts of the pages in, old ones out. `make docs` says when it is due.
docs-catalogues: $(DOCS_STAMP)
	$(DOCS_BIN)/python docs/build.py --catalogues

# The pages of docs/reference that are generated from the code.
reference: $(STAMP)
	$(BIN)/python docs/reference_pages.py

# The pictures of the pages, by the commands that they show. It needs chromium.
pictures: $(STAMP)
	$(BIN)/python docs/pictures.py

$(DOCS_STAMP): pyproject.toml constraints.txt
	test -x $(DOCS_BIN)/python || $(PYTHON) -m venv .venv-docs
	$(DOCS_BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[docs]'
	touch $@

# Installed anew when the requirements change; the package itself is editable.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "leakhunt needs Python 3.11 or newer: $(PYTHON) is missing or older; make PYTHON=... names another"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[fsmn-vad,fsmn-vad-service,vibevoice-tts,image-recognition,soak,frames,matrix,ray,dev]'
	touch $@

clean:
	rm -rf $(VENV) .venv-docs build/docs .mypy_cache .pytest_cache .ruff_cache
