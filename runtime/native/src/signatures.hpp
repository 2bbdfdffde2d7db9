// Signed bundles: Ed25519 over the bytes of `manifest.json`, which hold every other file's checksum; the twin of
// bundle/signatures.py.
#pragma once

#include <string>
#include <string_view>

namespace maclip {

// SHA-256, as hexadecimal digits.
std::string hash_bytes(std::string_view data);

// BundleError unless one of the keys, a file or a folder of PEM files, signed the manifest of the bundle at `root`.
void verify_signature(const std::string& root, std::string_view manifest, const std::string& keys);

}  // namespace maclip
