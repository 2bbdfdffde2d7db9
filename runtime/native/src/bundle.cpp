#include "bundle.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "embeddings.hpp"
#include "errors.hpp"
#include "external_data.hpp"
#include "files.hpp"
#include "python_words.hpp"
#include "signatures.hpp"

namespace maclip {
namespace {

const char kManifestName[] = "manifest.json";
constexpr std::int64_t kLargestManifest = 16'000'000;  // bytes; one of 18 files has 15,000
const char kDamaged[] = "copy or export the bundle again";
const char kUnsafe[] = "do not use this bundle";

std::string read_manifest(const std::string& root) {
  auto data = read_regular_file(join_path(root, kManifestName), kLargestManifest);
  if (data) return *std::move(data);
  const char* found = is_directory(root) ? "has no manifest.json, so it is no bundle" : "no such bundle";
  throw BundleError(root + ": " + found, "make one: maclip export");
}

// The absolute path of a manifest's file name, refused if it would leave the bundle.
std::string resolve_inside(const std::string& root, const std::string& name) {
  // It goes into messages, where an escape sequence reaches the terminal.
  if (!is_printable(name)) throw BundleError(show_string(name, kShown) + " is no file name", kUnsafe);
  const std::string path = join_path(root, name);
  const std::string resolved = resolve_path(path), base = resolve_path(root);
  const bool inside = resolved == base || base == "/" || resolved.compare(0, base.size() + 1, base + "/") == 0;
  const std::string parts = "/" + name + "/";
  if (name.substr(0, 1) == "/" || parts.find("/../") != std::string::npos || !inside)
    throw BundleError(show_string(name) + " points outside the bundle", kUnsafe);
  return path;
}

void check_size(const std::string& path, std::int64_t found, const BundleFile& file) {
  if (found != file.size)
    throw BundleError(
        path + ": " + std::to_string(found) + " bytes, and the manifest says " + std::to_string(file.size), kDamaged);
}

Manifest check_manifest(const std::string& root, std::string_view data) {
  const std::string path = join_path(root, kManifestName);
  if (const std::size_t place = find_invalid_utf8(data); place != std::string_view::npos)
    throw BundleError(path + ": not UTF-8 (byte " + std::to_string(place) + ")", kDamaged);
  try {
    Manifest manifest = parse_manifest(data);
    for (const auto& file : manifest.files) resolve_inside(root, file.path);
    return manifest;
  } catch (const BundleError& error) {
    throw BundleError(path + ": " + error.cause(), error.remedy());
  }
}

}  // namespace

Bundle Bundle::open(const std::string& path, const std::string& trusted_keys) {
  if (path.empty()) throw ArgumentError("the bundle's path is empty", "name a directory");
  const std::string root = tidy_path(path);
  const std::string data = read_manifest(root);
  if (!trusted_keys.empty()) verify_signature(root, data, tidy_path(trusted_keys));
  Manifest manifest = check_manifest(root, data);
  return Bundle(resolve_path(root), std::move(manifest));
}

std::string Bundle::name() const { return name_of(path_); }

std::string Bundle::path_of(const BundleFile& file) const { return join_path(path_, file.path); }

std::string Bundle::read(const BundleFile& file) const {
  const std::string path = resolve_inside(path_, file.path);
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
      throw BundleError(path + ": missing from the bundle", kDamaged);
    refuse_unreadable(path, errno);
  }
  if (!S_ISREG(status.st_mode)) throw BundleError(path + ": not a regular file", kUnsafe);
  check_size(path, status.st_size, file);
  auto data = read_regular_file(path, file.size);
  if (!data) throw BundleError(path + ": missing from the bundle", kDamaged);
  check_size(path, static_cast<std::int64_t>(data->size()), file);
  if (hash_bytes(*data) != file.sha256)
    throw BundleError(path + ": checksum differs from the manifest's", kDamaged);
  if (file.is_graph()) {
    try {
      refuse_external_data(*data);
    } catch (const BundleError& error) {
      throw BundleError(path + ": " + error.cause(), error.remedy());
    }
  }
  return *std::move(data);
}

std::vector<float> Bundle::load_prompts() const {
  const auto file = std::find_if(manifest_.files.begin(), manifest_.files.end(), [](const BundleFile& candidate) {
    return candidate.role == "prompts" && !candidate.is_plan;
  });
  if (file == manifest_.files.end())
    throw BundleError(path_ + ": has no prompts", "export the bundle again with it");
  const std::string data = read(*file);
  try {
    return read_embeddings(data, manifest_.prompts.size(), static_cast<std::size_t>(manifest_.features));
  } catch (const BundleError& error) {
    throw BundleError(path_of(*file) + ": " + error.cause(), "embed the prompts again: maclip prompts " + path_);
  }
}

}  // namespace maclip
