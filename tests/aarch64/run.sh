#!/usr/bin/env bash
# The runtime's tests on arm64, emulated: a Debian root without its packages' scripts, wheels by name, qemu.
# Usage: run.sh BUNDLES [PYTEST ARGUMENTS]; BUNDLES as tests/make_bundles.py makes them, beforehand.
# No child process runs under the emulator (that needs binfmt), so the command line's tests stay out.
set -euo pipefail

bundles=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
work=${AARCH64_DIR:-$here/.test-aarch64}
python=${PYTHON:-python3}
packages=(mmdebstrap qemu-user-static)

missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		apt-get update --quiet=2
		DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
	else
		echo "aarch64: missing ${missing[*]}; on Debian, as root: apt-get install ${packages[*]}" >&2
		exit 1
	fi
fi

mkdir -p "$work"
if [ ! -e "$work/root/usr/bin/python3.11" ]; then
	rm -rf "$work/root"
	mmdebstrap --quiet --architectures=arm64 --variant=extract --mode=root \
		--include=python3-minimal,libpython3-stdlib,python3.11,libstdc++6,ca-certificates,zlib1g \
		bookworm "$work/root"
fi
if [ ! -e "$work/wheels/.installed" ]; then
	# From 1.28 on, onnxruntime crashes at import under Debian 12's qemu 7.2.
	"$python" -m pip install --quiet --target "$work/wheels" --upgrade --only-binary=:all: \
		--python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
		--platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
		"onnxruntime<1.28" numpy pillow pytest hypothesis jsonschema typer rich
	touch "$work/wheels/.installed"
fi

cd "$here"
export PYTHONHOME="$work/root/usr" PYTHONPATH="$here/runtime:$work/wheels" PYTHONDONTWRITEBYTECODE=1
export MACLIP_TEST_BUNDLES="$bundles"
tests=()
for name in head views images schema_1 bundle select; do
	tests+=("tests/runtime/test_$name.py")
done
exec qemu-aarch64-static -L "$work/root" "$work/root/usr/bin/python3.11" -m pytest -q -p no:cacheprovider "${@:-${tests[@]}}"
