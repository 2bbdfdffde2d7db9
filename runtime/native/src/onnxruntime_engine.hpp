// ONNX Runtime, on the CPU or by CUDA: a bundle's image encoder on views or blocks cut here; the twin of
// engines/onnxruntime.py.
#pragma once

#include <memory>
#include <string>

#include "bundle.hpp"
#include "engine.hpp"

namespace maclip {

class OnnxRuntimeLibrary;

struct OnnxRuntimeSettings {
  bool cuda = false;
  bool dense = false;  // blocks of neighbouring windows instead of views
  int device = 0;      // number of the GPU
  int threads = 0;     // of the CPU; 0: one per physical core
  int micro_batch = 0;  // views at a time; 0: what suits the device
};

// An engine that runs the encoder `file`. BundleError where the file is not what the manifest says, EngineError where
// it cannot be run; nothing falls back to another provider.
std::unique_ptr<Engine> open_onnxruntime_engine(const Bundle& bundle, const BundleFile& file,
                                                std::shared_ptr<const OnnxRuntimeLibrary> library,
                                                const OnnxRuntimeSettings& settings);

}  // namespace maclip
