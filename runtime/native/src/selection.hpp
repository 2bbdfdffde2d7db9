// The one place that decides which graph runs, in which engine, on which device; the twin of engines/select.py.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bundle.hpp"
#include "engine.hpp"

namespace maclip {

// What the caller asks for, in the words of the Python runtime.
struct EngineChoice {
  std::string engine = "onnxruntime-cpu";
  std::optional<std::string> precision;  // by default half on a GPU where there is one, else float32
  std::string view_mode = "exact";
  std::string onnxruntime_library;
  int threads = 0, device = 0, micro_batch = 0;
};

struct Selection {
  std::unique_ptr<Engine> engine;
  EngineIdentity identity;
  std::string graph;  // the path of what runs, for messages
};

// The engine that was asked for, or with "auto" the first that opens: CUDA, then the CPU. EngineError if nothing can
// run, BundleError where the bundle lacks the graph.
Selection select_engine(const Bundle& bundle, const EngineChoice& choice);

}  // namespace maclip
