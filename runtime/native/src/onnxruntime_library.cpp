#include "onnxruntime_library.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>

#include "errors.hpp"

namespace maclip {
namespace {

// What this library calls is all there from 1.17 on; a newer one still has it.
constexpr std::uint32_t kApiVersion = 17;
const char kRemedy[] =
    "install ONNX Runtime, or name its library: onnxruntime_library=\".../libonnxruntime.so\", or the environment's "
    "MACLIP_ONNXRUNTIME_LIBRARY";

void* open_library(const std::string& path) {
  // Never unloaded: it leaves threads and thread-local objects behind.
  const int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  if (!path.empty()) {
    if (void* library = dlopen(path.c_str(), flags)) return library;
  } else {
    for (const char* name : {"libonnxruntime.so.1", "libonnxruntime.so"})
      if (void* library = dlopen(name, flags)) return library;
  }
  const char* reason = dlerror();
  const std::string told = reason == nullptr ? "no reason given" : reason;
  throw EngineError("ONNX Runtime cannot be opened (" + told + ")", kRemedy);
}

}  // namespace

OnnxRuntimeLibrary::OnnxRuntimeLibrary(const std::string& path) {
  void* library = open_library(path);
  const auto get_base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  const OrtApiBase* base = get_base == nullptr ? nullptr : get_base();
  if (base == nullptr) throw EngineError((path.empty() ? "libonnxruntime.so" : path) + ": not ONNX Runtime", kRemedy);
  version_ = base->GetVersionString();
  // Asking an older library for more than it has writes to stderr; its version says so quietly.
  unsigned major = 0, minor = 0;
  const bool told = std::sscanf(version_.c_str(), "%u.%u", &major, &minor) == 2;
  if (told && major == 1 && minor >= kApiVersion)
    api_ = base->GetApi(kApiVersion);
  if (api_ == nullptr)
    throw EngineError("ONNX Runtime " + version_ + " is not supported", "install 1.17 or a newer 1.x");
}

bool OnnxRuntimeLibrary::has_provider(const std::string& name) const {
  char** providers = nullptr;
  int count = 0;
  check(api_->GetAvailableProviders(&providers, &count), "ONNX Runtime");
  bool found = false;
  for (int i = 0; i < count; ++i) found = found || name == providers[i];
  check(api_->ReleaseAvailableProviders(providers, count), "ONNX Runtime");
  return found;
}

void OnnxRuntimeLibrary::check(OrtStatus* status, const std::string& place) const {
  if (status == nullptr) return;
  std::string reason = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  reason.erase(std::min(reason.find_first_of("\r\n"), reason.size()));
  throw EngineError(place + ": " + reason);
}

}  // namespace maclip
