// ONNX Runtime's C interface, out of a library that is opened at run time: what is installed decides, not what was
// there when this was compiled.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

namespace maclip {

class OnnxRuntimeLibrary {
 public:
  // `path`: the library, or empty for the one that the dynamic loader finds. EngineError if there is none.
  explicit OnnxRuntimeLibrary(const std::string& path);

  const OrtApi& api() const { return *api_; }
  const std::string& version() const { return version_; }

  // Whether this library was compiled with a provider, such as "CUDAExecutionProvider".
  bool has_provider(const std::string& name) const;

  // Throws EngineError with the first line of what went wrong, after `place`.
  void check(OrtStatus* status, const std::string& place) const;

  // Frees what the interface made.
  struct Release {
    const OrtApi* api = nullptr;
    void operator()(OrtEnv* object) const { api->ReleaseEnv(object); }
    void operator()(OrtSession* object) const { api->ReleaseSession(object); }
    void operator()(OrtSessionOptions* object) const { api->ReleaseSessionOptions(object); }
    void operator()(OrtCUDAProviderOptionsV2* object) const { api->ReleaseCUDAProviderOptions(object); }
    void operator()(OrtMemoryInfo* object) const { api->ReleaseMemoryInfo(object); }
    void operator()(OrtTypeInfo* object) const { api->ReleaseTypeInfo(object); }
    void operator()(OrtValue* object) const { api->ReleaseValue(object); }
  };
  template <typename T>
  using Owned = std::unique_ptr<T, Release>;

  template <typename T>
  Owned<T> own(T* object) const {
    return Owned<T>(object, Release{api_});
  }

 private:
  const OrtApi* api_ = nullptr;
  std::string version_;
};

}  // namespace maclip
