PYTHON ?= python3
BIN := .venv/bin
# setuptools warns of every strict installation, which finds the modules that a wheel would have, and no others
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --config-settings editable_mode=strict --editable
# where a shell has set it, each of many processes would compile TensorFlow's 2,000 files anew
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-min coverage mutants lint docs bench gpu dist clean

demo: .venv/ready
	$(BIN)/huse demo

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup

# 95 lines of 100 in each stage and in what lies between them, by pyproject.toml; the rest is shown
coverage: .venv/ready
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --cov --cov-report=
	for room in features extract train embed; do $(BIN)/coverage report --include="$$room/*" || exit 1; done
	$(BIN)/coverage report --omit="features/*,extract/*,train/*,embed/*,benchmarks/*,scripts/*,tests/*" --fail-under=0

# the quick tests on the lowest versions that setup.cfg allows
test-min: build/min/ready
	build/min/bin/python -m pytest -n auto --maxprocesses 4 --dist loadgroup -m "not slow" \
	  -W "ignore:The anyio.abc.BlockingPortal:DeprecationWarning" $(TESTS) # of starlette, with an anyio of now

build/min/ready: setup.cfg scripts/lower_bounds.py
	$(PYTHON) -m venv build/min
	build/min/bin/python -m pip install --quiet packaging
	build/min/bin/python scripts/lower_bounds.py >build/min/lowest.txt
	build/min/bin/python -m pip install --quiet --editable '.[dev]' --constraint build/min/lowest.txt
	touch $@

# mutmut wants the package as a folder of its name
mutants: .venv/mutants
	rm -rf build/mutants && mkdir -p build/mutants/huse
	git ls-files | xargs -d '\n' cp --parents --target-directory build/mutants/huse
	mv build/mutants/huse/tests build/mutants/huse/pyproject.toml build/mutants
	cd build/mutants && $(CURDIR)/$(BIN)/mutmut run $(MUTANTS) && $(CURDIR)/$(BIN)/mutmut results

.venv/mutants: .venv/ready
	$(INSTALL) '.[mutants]'
	touch $@

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p huse -p benchmarks -p scripts $(addprefix -p ,$(wildcard examples))
	$(BIN)/mypy --config-file tests/mypy.ini tests
	$(BIN)/lint-imports

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	! grep -rlE '<(script|link|img)[^>]+(src|href)="https?://' build/site # nothing is loaded from elsewhere

.venv/docs: .venv/ready
	$(INSTALL) '.[docs]'
	touch $@

# all benchmarks, and docs/performance.md from them; BENCH=--quick for rough figures in minutes. PyTorch takes part where
# it is installed: `.venv/bin/pip install torch` brings 5 GB of CUDA on Linux, unless it is a wheel for processors alone
bench: .venv/bench
	$(BIN)/python -m benchmarks.all $(BENCH)

.venv/bench: .venv/ready
	$(INSTALL) '.[bench]'
	touch $@

# on a machine with GPUs and a driver for them: the tests that need one, and stages 1, 2 and 3 there
gpu: .venv/gpu
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks.accelerator --images 512 --repeats 8
	$(BIN)/python -m benchmarks.extract --image-encoder vgg16:blocks --images 2000 --rounds 2
	$(BIN)/python -m benchmarks.fit --rounds 2
	$(BIN)/python -m benchmarks.embed --rows 100000 --rounds 2

.venv/gpu: .venv/ready
	$(INSTALL) '.[dev,gpu]'
	touch $@

# the wheel alone in a fresh environment, and every stage there; what a build before has left is not to get into it
dist: .venv/ready
	rm -rf dist build/lib build/bdist.* build/dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --wheel --outdir build/dist/wheel .
	$(BIN)/python scripts/check_dist.py build/dist/wheel/*.whl dist/*.whl
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/dist/venv
	build/dist/venv/bin/python -m pip install --quiet dist/*.whl
	scripts/smoke.sh build/dist/venv/bin

# the pip that came with Python may take minutes to choose versions; Python compiles what is imported, pip would compile all
.venv/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) '.[dev]' --no-compile
	touch $@

clean:
	rm -rf .venv build dist huse.egg-info
