PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs clean

demo: .venv/ready
	$(BIN)/huse demo

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p huse -p benchmarks -p scripts $(addprefix -p ,$(wildcard examples))
	$(BIN)/mypy --config-file tests/mypy.ini tests
	$(BIN)/lint-imports

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/docs: .venv/ready
	$(BIN)/python -m pip install --quiet --editable '.[docs]' --config-settings editable_mode=strict
	touch $@

.venv/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --config-settings editable_mode=strict
	touch $@

clean:
	rm -rf .venv build huse.egg-info
