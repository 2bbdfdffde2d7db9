#!/usr/bin/env bash
# What the tests need from the system beside Python packages: a C++ compiler, GStreamer with its Python
# bindings, a real RTSP server, and a browser. On Debian, as root, it is installed; elsewhere this says what is missing, and
# the tests that need it skip with its name.
set -euo pipefail

packages=(
	cmake g++ pkg-config          # the C library is compiled in the tests
	nlohmann-json3-dev libssl-dev libzip-dev   # it reads bundles with them
	libjpeg-dev libpng-dev        # its tool maclip-score reads pictures with them
	python3-venv
	python3-gi                    # GObject introspection, for Debian's own Python
	python3-gst-1.0               # GStreamer's bindings
	gir1.2-gst-plugins-base-1.0   # GstApp: appsink
	gir1.2-gst-rtsp-server-1.0    # the cameras of the tests
	gstreamer1.0-plugins-base     # videotestsrc, videoconvert
	gstreamer1.0-plugins-good     # RTP payloaders
	gstreamer1.0-plugins-ugly     # x264enc: cameras send H.264
	chromium chromium-driver      # the page that scores in the browser, and what drives it
	libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev   # the element maclipquality is compiled
	gstreamer1.0-tools            # gst-launch-1.0, gst-inspect-1.0
)
command -v node >/dev/null || packages+=(nodejs) # pyright runs on it
command -v npm >/dev/null || packages+=(npm) # Node.js of other makers brings its own, which Debian's is at odds with

# The shared library of Debian's Python, which Triton's Python backend loads: libpython3.11, say.
[ ! -L /usr/bin/python3 ] || packages+=("lib$(basename "$(readlink /usr/bin/python3)")")

if ! command -v dpkg-query >/dev/null; then
	echo "system packages: not Debian; install what your system calls ${packages[*]}" >&2
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "system packages: missing ${missing[*]}; run this script as root, or: sudo apt-get install ${missing[*]}" >&2
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update --quiet=2 &&
	apt-get install --option DPkg::Lock::Timeout=300 --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null; }; then
	echo "system packages: could not install ${missing[*]}" >&2
	[ "${CI:-}" != true ]
fi
