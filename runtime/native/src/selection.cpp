#include "selection.hpp"

#include <algorithm>
#include <vector>

#include "errors.hpp"
#include "onnxruntime_engine.hpp"
#include "onnxruntime_library.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

const char kCpu[] = "onnxruntime-cpu", kCuda[] = "onnxruntime-cuda";

void refuse_unknown(const std::string& what, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) == known.end())
    throw ArgumentError("unknown " + what + " " + show_string(value), "use one of " + join(known));
}

void check_provider(const OnnxRuntimeLibrary& library) {
  const std::string provider = "CUDAExecutionProvider";
  if (!library.has_provider(provider))
    throw EngineError("onnxruntime " + library.version() + " has no " + provider,
                      "use a library that has, or use engine=\"" + std::string(kCpu) + "\"");
}

void refuse_dense(const Bundle& bundle) {
  const std::string& image = bundle.manifest().image_tower;
  throw EngineError(bundle.path() + ": dense views need a ResNet, whose trunk is convolutional, and this is a " +
                        show_name(image.substr(0, image.find(' '))),
                    "use views=\"exact\"");
}

// The encoder that an engine runs.
const BundleFile& choose_graph(const Bundle& bundle, bool cuda, const EngineChoice& choice) {
  std::vector<std::string> precisions{"fp32"};
  if (cuda) precisions = {"fp16", "fp32"};
  if (choice.precision) precisions = {*choice.precision};
  for (const auto& precision : precisions)
    for (const auto& file : bundle.manifest().files) {
      if (file.role != "image_encoder" || !file.is_graph() || file.precision != precision) continue;
      if (choice.view_mode == "dense" && !file.takes_any_size()) refuse_dense(bundle);
      return file;
    }
  const auto& first = precisions.front();
  throw BundleError(bundle.path() + ": has no image encoder in " + join(precisions, " or "),
                    "export the bundle with precision=\"fp32" + (first == "fp32" ? "" : "," + first) + "\"");
}

Selection open_engine(const Bundle& bundle, const std::string& name, const EngineChoice& choice,
                      const std::shared_ptr<const OnnxRuntimeLibrary>& library) {
  const bool cuda = name == kCuda;
  if (cuda) check_provider(*library);
  const BundleFile& file = choose_graph(bundle, cuda, choice);
  OnnxRuntimeSettings settings;
  settings.cuda = cuda;
  settings.dense = choice.view_mode == "dense";
  settings.device = choice.device;
  settings.threads = choice.threads;
  settings.micro_batch = choice.micro_batch;
  return {open_onnxruntime_engine(bundle, file, library, settings),
          {name, file.precision.value_or("fp32"), choice.view_mode},
          bundle.path_of(file)};
}

}  // namespace

Selection select_engine(const Bundle& bundle, const EngineChoice& choice) {
  refuse_unknown("engine", choice.engine, {"auto", kCuda, kCpu});
  refuse_unknown("view mode", choice.view_mode, {"exact", "dense"});
  if (choice.precision) refuse_unknown("precision", *choice.precision, {"fp32", "fp16", "int8"});
  if (choice.engine == kCpu && choice.device != 0)
    throw ArgumentError("device " + std::to_string(choice.device) + " is a GPU's number, and " + kCpu +
                        " runs on the CPU");
  const auto library = std::make_shared<const OnnxRuntimeLibrary>(choice.onnxruntime_library);
  if (choice.engine != "auto") return open_engine(bundle, choice.engine, choice, library);
  try {
    return open_engine(bundle, kCuda, choice, library);
  } catch (const EngineError&) {  // no provider or no GPU: every machine has the CPU
    return open_engine(bundle, kCpu, choice, library);
  }
}

}  // namespace maclip
