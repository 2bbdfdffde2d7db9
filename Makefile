# Every target makes what it needs: a fresh machine needs Python, pip and make.
PYTHON ?= python3
# The oldest supported Python where there is one (pyenv keeps it off the path), else the default.
OLDEST_PYTHON ?= $(shell for p in python3.10 $(HOME)/.pyenv/versions/3.10.*/bin/python3.10 $(PYTHON); \
	do $$p -c '' 2>/dev/null && echo $$p && break; done)
DEV := .venv
OLDEST := .venv-oldest
DEMO := .venv-demo
BUNDLES := .test-bundles

.PHONY: help demo test lint format bench-accuracy demo-figures clean

help:
	@echo "make demo     install the runtime alone and score the sample photographs, degraded and not"
	@echo "make test     run everything: lint, types, tests, and the runtime on its oldest versions"
	@echo "make lint     only ruff and mypy"
	@echo "make format   let ruff rewrite what it can"
	@echo "make bench-accuracy   distortion ladders of the demo encoder: docs/accuracy"
	@echo "make demo-figures     the demo encoder's figures and plots: docs/demo-encoder"
	@echo "make clean    remove environments and test bundles"

# Only the runtime, no torch.
$(DEMO)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[cpu]"
	touch $@

demo: $(DEMO)/.installed
	@$(DEMO)/bin/python demo/show.py

$(DEV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --upgrade pip
	$(DEV)/bin/python -m pip install --quiet --editable ".[dev]"
	touch $@

# No torch here: this environment is the proof that the runtime needs none.
$(OLDEST)/.installed: pyproject.toml tests/oldest.txt
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m pip install --quiet --editable ".[cpu]" pytest hypothesis --constraint tests/oldest.txt
	touch $@

$(BUNDLES)/.made: $(DEV)/.installed tests/make_bundles.py tests/reference/make_checkpoint.py $(shell find export/maclip_export runtime/maclip_runtime -name '*.py')
	rm -rf $(BUNDLES)
	$(DEV)/bin/python tests/make_bundles.py $(BUNDLES)
	touch $@

test: $(DEV)/.installed $(OLDEST)/.installed $(BUNDLES)/.made
	$(OLDEST)/bin/python -c "import importlib.util as u; assert not u.find_spec('torch')"
	MACLIP_TEST_BUNDLES=$(CURDIR)/$(BUNDLES) $(OLDEST)/bin/python -m pytest tests/runtime
	MACLIP_TEST_BUNDLES=$(CURDIR)/$(BUNDLES) $(DEV)/bin/python -m pytest tests

lint: $(DEV)/.installed
	$(DEV)/bin/python -m ruff check .
	$(DEV)/bin/python -m ruff format --check .
	$(DEV)/bin/python -m mypy

format: $(DEV)/.installed
	$(DEV)/bin/python -m ruff check --fix .
	$(DEV)/bin/python -m ruff format .

bench-accuracy: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/distortions.py --bundle demo --output docs/accuracy \
		--seen gaussian_blur,gaussian_noise,jpeg,downscale,overexposure,underexposure,low_contrast,pixelation,colour_quantisation,oversharpening

demo-figures: $(DEV)/.installed
	$(DEV)/bin/python -m pip install --quiet --editable ".[demo]"
	$(DEV)/bin/python demo/evaluate.py

clean:
	rm -rf $(DEV) $(OLDEST) $(DEMO) $(BUNDLES)
