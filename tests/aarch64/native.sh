#!/usr/bin/env bash
# The C library cross-compiled for arm64 and run under qemu: its own tests, and the samples' scores against x86-64's.
# Usage: native.sh BUILD ONNXRUNTIME_INCLUDE [BUNDLE ...]; BUILD is the build of this machine, to compare with.
# The bundles are scored as well as the demo's. Needs what Makefile's test-aarch64-native installs: root on Debian.
set -euo pipefail

build=$(realpath "$1")
headers=$(realpath "$2")
shift 2
here=$(cd "$(dirname "$0")/../.." && pwd)
work=${AARCH64_DIR:-$here/.test-aarch64}
python=${PYTHON:-python3}
packages=(mmdebstrap qemu-user-static gcc-aarch64-linux-gnu g++-aarch64-linux-gnu)

if ! dpkg-query --show "${packages[@]}" >/dev/null 2>&1; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "aarch64: on Debian, as root: apt-get install ${packages[*]}" >&2
		exit 1
	fi
	apt-get update --quiet=2
	DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${packages[@]}" >/dev/null
fi

mkdir -p "$work"
root=$work/native-root
if [ ! -e "$root/usr/include/zip.h" ]; then
	rm -rf "$root"
	mmdebstrap --quiet --architectures=arm64 --variant=extract --mode=root \
		--include=libc6,libstdc++6,libssl-dev,libzip-dev,libjpeg62-turbo-dev,libpng-dev,nlohmann-json3-dev bookworm "$root"
	# Links to /lib/... would lead out of the root.
	find "$root/usr/lib" -lname '/*' | while read -r link; do
		ln -sfn "$root$(readlink "$link")" "$link"
	done
fi
if ! compgen -G "$work/native-wheel/onnxruntime/capi/libonnxruntime.so.*" >/dev/null; then
	# From 1.28 on, onnxruntime crashes under Debian 12's qemu 7.2.
	"$python" -m pip install --quiet --target "$work/native-wheel" --no-deps --only-binary=:all: --python-version 3.11 \
		--implementation cp --abi cp311 --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 "onnxruntime<1.28"
fi
library=$(compgen -G "$work/native-wheel/onnxruntime/capi/libonnxruntime.so.*" | head -n 1)

export MACLIP_SYSROOT=$root
cmake -S "$here/runtime/native" -B "$work/native-build" -DMACLIP_GSTREAMER=OFF -DONNXRUNTIME_INCLUDE="$headers" \
	-DCMAKE_TOOLCHAIN_FILE="$here/runtime/native/cmake/aarch64.cmake" >/dev/null
cmake --build "$work/native-build" --parallel 2 >/dev/null

emulate=(qemu-aarch64-static -L "$root" -E "LD_LIBRARY_PATH=$work/native-build:$root/usr/lib/aarch64-linux-gnu"
	-E "MACLIP_ONNXRUNTIME_LIBRARY=$library" -E "MACLIP_TEST_BUNDLE=$here/runtime/maclip_runtime/demo")
for program in tests/frames/test_frames tests/test_allocations tests/test_abi; do
	"${emulate[@]}" "$work/native-build/$program"
	echo "aarch64: $program passed"
done
for bundle in "$here/runtime/maclip_runtime/demo" "$@"; do
	"${emulate[@]}" "$work/native-build/tools/maclip-score" --threads 2 --bundle "$bundle" "$here"/samples/*.jpg >"$work/arm.jsonl"
	"$build/tools/maclip-score" --bundle "$bundle" "$here"/samples/*.jpg >"$work/x86.jsonl"
	"$python" "$here/tests/aarch64/compare.py" "$work/x86.jsonl" "$work/arm.jsonl" 1e-5
done
