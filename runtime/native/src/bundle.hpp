// An opened bundle: a directory that one `scp` moves, checked before anything in it is trusted; the twin of
// bundle/bundle.py. Nothing in it is ever unpickled, and no path in its manifest leads out of it.
#pragma once

#include <string>
#include <vector>

#include "manifest.hpp"

namespace maclip {

class Bundle {
 public:
  // Reads the manifest; BundleError if it cannot be used. `trusted_keys`: where it is not empty, one of those keys
  // must have signed it.
  static Bundle open(const std::string& path, const std::string& trusted_keys);

  const std::string& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  std::string name() const;

  // The path of a file for messages.
  std::string path_of(const BundleFile& file) const;

  // A file's bytes, verified: what was verified is what is used. Read once, by size and checksum the manifest's; a
  // graph must also be whole.
  std::string read(const BundleFile& file) const;

  // The prompt embeddings [K, 2, D].
  std::vector<float> load_prompts() const;

 private:
  Bundle(std::string path, Manifest manifest) : path_(std::move(path)), manifest_(std::move(manifest)) {}

  std::string path_;
  Manifest manifest_;
};

}  // namespace maclip
