#!/usr/bin/env bash
# ONNX Runtime's C and C++ headers for the tests that compile against it: put into FOLDER/usr/include.
#
#   tests/onnxruntime_headers.sh FOLDER
#
# They are Debian 13's (libonnxruntime-dev), fetched by an apt whose sources, state and cache are its own, so that
# the system's stay as they are; only headers are used, the library is the Python package's. Where there
# is no apt this says what to do instead, and the tests that need the headers skip.
set -euo pipefail

folder=$1
[ ! -d "$folder/usr/include/onnxruntime" ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
	echo "headers of ONNX Runtime: no apt here; set ONNXRUNTIME_INCLUDE to the folder include of a release" >&2
	exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{state/lists/partial,cache/archives/partial}
# The mirror that this machine uses already.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] ${mirror:?apt names no mirror} trixie main" >"$scratch/sources.list"
options=(
	-o Dir::Etc::SourceList="$scratch/sources.list" -o Dir::Etc::SourceParts=/dev/null
	-o Dir::State="$scratch/state" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root
)
(
	cd "$scratch"
	apt-get "${options[@]}" --quiet=2 update
	apt-get "${options[@]}" --quiet=2 download libonnxruntime-dev
)
mkdir -p "$folder"
dpkg -x "$scratch"/libonnxruntime-dev_*.deb "$folder"
