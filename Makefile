# make demo: install, compare two methods on the built-in dataset, show the table and where the page lies.
# make test: install with the test tools, check style, spelling and types, run the tests (JOBS=2 processes).
# make docs: build the documentation as a site in build/site; a broken link or reference is an error.
# make baseline: train the seeds of the drift gate's baseline and write it again (benchmarks/baselines/README.md).

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

.PHONY: demo test docs baseline lint typecheck clean

demo: .venv/installed
	$(BIN)/cgbench run --methods cyclegan,gan_only --dataset streets --preset demo --name demo

test: .venv/installed-test lint typecheck
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile

# The first 30 of numpy.random.default_rng(0).choice(1_000_000, 130, replace=False); the suite has the first five of them.
SEEDS := 531316,543564,269752,89278,310223,570089,375394,832619,90752,541410,796313,845429,632199,400835,950032,670804,$\
860026,729582,719478,573637,721443,383647,946520,912647,80392,670568,33582,580331,970631,307790

baseline: .venv/installed
	rm -rf runs/ci-baseline
	OMP_NUM_THREADS=1 $(BIN)/cgbench run --suite ci --seeds $(SEEDS) --name ci-baseline --device cpu
	$(BIN)/cgbench baseline update runs/ci-baseline --baseline benchmarks/baselines/ci.json

docs: .venv/installed-test
	$(BIN)/sphinx-build -q -W --keep-going docs build/site
	@echo build/site/index.html

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

# The five folders are sub-packages of cgbench by the package-dir of pyproject.toml, which mypy does not read: it sees
# them through links under their installed names, and its messages get the names of the sources again.
MYPY := $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

typecheck: .venv/installed-test
	rm -rf build/typed
	mkdir -p build/typed/cgbench
	ln -s $(CURDIR)/cgbench/* $(CURDIR)/benchmarks $(CURDIR)/datasets $(CURDIR)/methods $(CURDIR)/reports build/typed/cgbench/
	cd build/typed && $(MYPY) -p cgbench > messages; status=$$?; \
		sed -E 's#^cgbench/(benchmarks|datasets|methods|reports)/#\1/#' messages; exit $$status
	cd examples/plugin && MYPYPATH=$(CURDIR)/build/typed $(MYPY) --follow-imports silent --no-warn-unused-configs .

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cgbench needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ .venv/installed

clean:
	rm -rf .venv build .mypy_cache *.egg-info
