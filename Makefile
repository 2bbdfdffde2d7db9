# Every target makes what it needs: a fresh machine needs Python, pip and make.
PYTHON ?= python3
# The oldest supported Python where there is one (pyenv keeps it off the path), else the default.
OLDEST_PYTHON ?= $(shell for p in python3.10 $(HOME)/.pyenv/versions/3.10.*/bin/python3.10 $(PYTHON); \
	do $$p -c '' 2>/dev/null && echo $$p && break; done)
DEV := .venv
OLDEST := .venv-oldest
DEMO := .venv-demo
DOCS := .venv-docs
SYSTEM := .venv-system
BUNDLES := .test-bundles
MINUTES ?= 60
HEADERS := .onnxruntime-headers
NATIVE := .native-build

.PHONY: help demo docs test test-native test-gstreamer test-serving lint format bench-accuracy demo-figures soak clean fuzz \
	test-aarch64 test-aarch64-native

help:
	@echo "make demo     install the runtime alone, score the sample photographs, degraded and not: demo-report.html"
	@echo "make docs     the documentation as a site, strictly: build/site"
	@echo "make test     run everything: lint, types, tests, and the runtime on its oldest versions"
	@echo "make fuzz MINUTES=60   attack every boundary for that long (tests/fuzz)"
	@echo "make test-aarch64     the runtime's tests on arm64, emulated"
	@echo "make web      assemble the page that scores in the browser: build/web (needs npm)"
	@echo "make test-native      build the C library, its tools and the GStreamer element, and run their tests"
	@echo "make test-aarch64-native  the C library cross-compiled for arm64 and run there, emulated"
	@echo "make lint     only ruff and mypy"
	@echo "make format   let ruff rewrite what it can"
	@echo "make bench-accuracy   distortion ladders of the demo encoder: docs/accuracy"
	@echo "make soak     an hour of simulated stream: memory, threads and open files stay"
	@echo "make demo-figures     the demo encoder's figures and plots: docs/demo-encoder"
	@echo "make clean    remove environments and test bundles"

# Only the runtime, no torch.
$(DEMO)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[cpu,report]"
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

# GStreamer's bindings belong to Debian's own Python, which this environment sees; Triton's server wants NumPy 1.
$(SYSTEM)/.installed: pyproject.toml
	/usr/bin/python3 -m venv --system-site-packages $(SYSTEM)
	$(SYSTEM)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[serve,sign]" pytest
	touch $@

$(BUNDLES)/.made: $(DEV)/.installed tests/make_bundles.py tests/reference/make_checkpoint.py $(shell find export/maclip_export runtime/maclip_runtime -name '*.py')
	rm -rf $(BUNDLES)
	$(DEV)/bin/python tests/make_bundles.py $(BUNDLES)
	touch $@

test: $(DEV)/.installed $(OLDEST)/.installed $(BUNDLES)/.made
	$(MAKE) --no-print-directory test-native
	$(OLDEST)/bin/python -c "import importlib.util as u; assert not u.find_spec('torch')"
	MACLIP_TEST_BUNDLES=$(CURDIR)/$(BUNDLES) $(OLDEST)/bin/python -m pytest tests/runtime -m "not dev"
	MACLIP_TEST_BUNDLES=$(CURDIR)/$(BUNDLES) MACLIP_NATIVE_BUILD=$(CURDIR)/$(NATIVE) $(DEV)/bin/python -m pytest tests --ignore tests/sources/test_gstreamer.py --ignore tests/triton_serving
	$(MAKE) --no-print-directory test-gstreamer test-serving

# The library itself, with sanitizers too; what holds it against Python is in tests/native.
test-native: $(DEV)/.installed
	tests/system_packages.sh
	tests/onnxruntime_headers.sh $(HEADERS)
	@if [ "$$CI" != true ] && ! { command -v cmake && ls $(HEADERS)/usr/include; } >/dev/null 2>&1; then \
		echo "skipped: the tests of libmaclip need CMake and ONNX Runtime's headers (docs/native.md)"; \
	else \
		cmake -S runtime/native -B $(NATIVE) >/dev/null && cmake --build $(NATIVE) --parallel 2 && \
		ctest --test-dir $(NATIVE) --output-on-failure; \
	fi

test-gstreamer:
	@if /usr/bin/python3 -c "import gi; gi.require_version('Gst', '1.0')" 2>/dev/null; then \
		$(MAKE) --no-print-directory $(SYSTEM)/.installed && \
		$(SYSTEM)/bin/python -m pytest tests/sources/test_gstreamer.py; \
	elif [ "$$CI" = true ]; then \
		echo "CI must have python3-gst-1.0 (tests/system_packages.sh)" >&2; exit 1; \
	else \
		echo "skipped: the tests of GStreamer pipelines need python3-gst-1.0 (tests/system_packages.sh)"; \
	fi

# Triton's Python backend loads the Python's shared library, which Debian's has in a package of its own.
test-serving: $(BUNDLES)/.made
	@if /usr/bin/python3 -c "import ctypes, sysconfig; ctypes.CDLL(sysconfig.get_config_var('INSTSONAME'))" 2>/dev/null; then \
		$(MAKE) --no-print-directory $(SYSTEM)/.installed && \
		MACLIP_TEST_BUNDLES=$(CURDIR)/$(BUNDLES) $(SYSTEM)/bin/python -m pytest tests/triton_serving; \
	elif [ "$$CI" = true ]; then \
		echo "CI must have the shared library of /usr/bin/python3 (tests/system_packages.sh)" >&2; exit 1; \
	else \
		echo "skipped: the tests of Triton need the shared library of /usr/bin/python3 (tests/system_packages.sh)"; \
	fi

# Static: any server serves what it leaves in build/web.
.PHONY: web
web:
	$(PYTHON) web/assemble.py build/web
	@echo "python web/serve.py build/web   serves it on this machine"

fuzz: $(DEV)/.installed
	$(DEV)/bin/python tests/fuzz/run.py $(MINUTES)

# The runtime's tests on arm64 under qemu; minutes, and root on Debian, so not part of `make test`.
test-aarch64: $(DEV)/.installed $(BUNDLES)/.made
	PYTHON=$(DEV)/bin/python tests/aarch64/run.sh $(BUNDLES)

test-aarch64-native: test-native $(BUNDLES)/.made
	PYTHON=$(DEV)/bin/python tests/aarch64/native.sh $(NATIVE) $(HEADERS)/usr/include $(BUNDLES)/rn-small.maclip

lint: $(DEV)/.installed
	$(DEV)/bin/python -m ruff check --no-cache .
	$(DEV)/bin/python -m ruff format --check .
	$(DEV)/bin/python -m mypy

format: $(DEV)/.installed
	$(DEV)/bin/python -m ruff check --fix .
	$(DEV)/bin/python -m ruff format .

# No torch here either: commands name their options, and docstrings are read, without it.
$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

# Strict: a broken link, a page that the navigation leaves out, or any other warning fails.
docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench-accuracy: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.accuracy.distortions --bundle demo --output docs/accuracy \
		--seen gaussian_blur,gaussian_noise,jpeg,downscale,overexposure,underexposure,low_contrast,pixelation,colour_quantisation,oversharpening

soak: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.speed.keeping_up soak

demo-figures: $(DEV)/.installed
	$(DEV)/bin/python -m pip install --quiet --editable ".[demo]"
	$(DEV)/bin/python demo/evaluate.py
	$(DEV)/bin/python demo/picture.py docs/demo.jpg

clean:
	rm -rf $(HEADERS) $(NATIVE) $(DEV) $(OLDEST) $(DEMO) $(DOCS) $(SYSTEM) $(BUNDLES) build
