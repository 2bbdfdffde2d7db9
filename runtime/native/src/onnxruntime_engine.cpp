#include "onnxruntime_engine.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "blocks.hpp"
#include "errors.hpp"
#include "int8_overflow.hpp"
#include "onnxruntime_library.hpp"
#include "pixels.hpp"
#include "signature.hpp"

namespace maclip {
namespace {

// Views per run of the encoder. On a CPU more gains nothing (one view fills the cores already) and costs memory: 8
// views of RN50 need about 250 MB of activations. A GPU is filled by about 32.
constexpr int kMicroBatch = 8, kGpuMicroBatch = 32;
// Windows on a block's side in dense mode: 992 x 992 pixels, which RN50 encodes in 650 MB.
constexpr int kBlockSide = 7;

using Library = OnnxRuntimeLibrary;

const char* name_type(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "float32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "tensor(float16)";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "tensor(double)";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "tensor(int32)";
    default:
      return "another type";
  }
}

// A session of one graph, and what it is run with.
class Session {
 public:
  Session(const Bundle& bundle, const BundleFile& file, std::shared_ptr<const Library> library,
          const OnnxRuntimeSettings& settings)
      : library_(std::move(library)),
        name_(file.path),
        environment_(library_->own<OrtEnv>(nullptr)),
        session_(library_->own<OrtSession>(nullptr)),
        memory_(library_->own<OrtMemoryInfo>(nullptr)) {
    const std::string data = bundle.read(file);
    const std::string provider = settings.cuda ? "CUDAExecutionProvider" : "CPUExecutionProvider";
    const std::string place = bundle.path_of(file) + ": ONNX Runtime cannot run it with " + provider;
    OrtEnv* environment = nullptr;
    // Nothing is logged: what goes wrong comes back as a status.
    check(api().CreateEnv(ORT_LOGGING_LEVEL_FATAL, "maclip", &environment), place);
    environment_.reset(environment);
    const auto options = choose_options(file, settings, place);
    OrtSession* session = nullptr;
    check(api().CreateSessionFromArray(environment, data.data(), data.size(), options.get(), &session), place);
    session_.reset(session);
    OrtMemoryInfo* memory = nullptr;
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), place);
    memory_.reset(memory);
    check_signature(file, describe(true), describe(false), bundle.manifest().method.views.size);
  }

  // Pixels [count, 3, height, width] to features [rows, features].
  void run(float* pixels, std::array<std::int64_t, 4> shape, float* features, std::array<std::int64_t, 2> rows,
           const std::string& place) {
    const auto input = borrow(pixels, shape, place);
    const auto output = borrow(features, rows, place);
    const char* input_name = "pixels";
    const char* output_name = "features";
    const OrtValue* inputs[] = {input.get()};
    OrtValue* outputs[] = {output.get()};
    check(api().Run(session_.get(), nullptr, &input_name, inputs, 1, &output_name, 1, outputs), place);
  }

 private:
  const OrtApi& api() const { return library_->api(); }
  void check(OrtStatus* status, const std::string& place) const { library_->check(status, place); }

  Library::Owned<OrtSessionOptions> choose_options(const BundleFile& file, const OnnxRuntimeSettings& settings,
                                                   const std::string& place) const {
    OrtSessionOptions* made = nullptr;
    check(api().CreateSessionOptions(&made), place);
    auto options = library_->own(made);
    // The format is not guessed from the bytes.
    check(api().AddSessionConfigEntry(made, "session.load_model_format", "ONNX"), place);
    check(api().SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_FATAL), place);
    if (settings.threads > 0) check(api().SetIntraOpNumThreads(made, settings.threads), place);
    if (file.precision == "int8" && overflows_int8())
      check(api().AddSessionConfigEntry(made, "session.x64quantprecision", "1"), place);
    if (settings.cuda) append_cuda(made, settings.device, place);
    return options;
  }

  void append_cuda(OrtSessionOptions* options, int device, const std::string& place) const {
    OrtCUDAProviderOptionsV2* made = nullptr;
    check(api().CreateCUDAProviderOptions(&made), place);
    const auto cuda = library_->own(made);
    const std::string number = std::to_string(device);
    // TF32, CUDA's default, keeps ten bits of a product's factors.
    const std::array<const char*, 2> keys{"device_id", "use_tf32"}, values{number.c_str(), "0"};
    check(api().UpdateCUDAProviderOptions(made, keys.data(), values.data(), keys.size()), place);
    check(api().SessionOptionsAppendExecutionProvider_CUDA_V2(options, made), place);
  }

  template <std::size_t N>
  Library::Owned<OrtValue> borrow(float* data, const std::array<std::int64_t, N>& shape,
                                  const std::string& place) const {
    std::size_t count = 1;
    for (const std::int64_t length : shape) count *= static_cast<std::size_t>(length);
    OrtValue* value = nullptr;
    check(api().CreateTensorWithDataAsOrtValue(memory_.get(), data, count * sizeof(float), shape.data(), N,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value),
          place);
    return library_->own(value);
  }

  // The session's inputs or outputs as the manifest writes them.
  Tensors describe(bool inputs) const {
    std::size_t count = 0;
    check(inputs ? api().SessionGetInputCount(session_.get(), &count)
                 : api().SessionGetOutputCount(session_.get(), &count),
          name_);
    OrtAllocator* allocator = nullptr;
    check(api().GetAllocatorWithDefaultOptions(&allocator), name_);
    Tensors tensors;
    for (std::size_t i = 0; i < count; ++i) {
      char* text = nullptr;
      check(inputs ? api().SessionGetInputName(session_.get(), i, allocator, &text)
                   : api().SessionGetOutputName(session_.get(), i, allocator, &text),
            name_);
      const std::string name(text);
      check(api().AllocatorFree(allocator, text), name_);
      OrtTypeInfo* type = nullptr;
      check(inputs ? api().SessionGetInputTypeInfo(session_.get(), i, &type)
                   : api().SessionGetOutputTypeInfo(session_.get(), i, &type),
            name_);
      tensors.emplace_back(name, describe_type(library_->own(type).get()));
    }
    return tensors;
  }

  Tensor describe_type(const OrtTypeInfo* type) const {
    const OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api().CastTypeInfoToTensorInfo(type, &info), name_);
    if (info == nullptr) return {"another type", {}};
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    check(api().GetTensorElementType(info, &element), name_);
    std::size_t rank = 0;
    check(api().GetDimensionsCount(info, &rank), name_);
    std::vector<std::int64_t> lengths(rank);
    std::vector<const char*> names(rank);
    check(api().GetDimensions(info, lengths.data(), rank), name_);
    check(api().GetSymbolicDimensions(info, names.data(), rank), name_);
    Tensor tensor{name_type(element), {}};
    for (std::size_t axis = 0; axis < rank; ++axis) {
      if (lengths[axis] >= 0)
        tensor.shape.emplace_back(lengths[axis]);
      else
        tensor.shape.emplace_back(std::string(names[axis][0] == '\0' ? "?" : names[axis]));
    }
    return tensor;
  }

  std::shared_ptr<const Library> library_;
  std::string name_;
  Library::Owned<OrtEnv> environment_;
  Library::Owned<OrtSession> session_;
  Library::Owned<OrtMemoryInfo> memory_;
};

class OnnxRuntimeEngine : public Engine {
 public:
  OnnxRuntimeEngine(const Bundle& bundle, const BundleFile& file, std::shared_ptr<const Library> library,
                    const OnnxRuntimeSettings& settings)
      : session_(bundle, file, std::move(library), settings),
        geometry_(bundle.manifest().method.views),
        scale_(geometry_),
        features_(static_cast<std::size_t>(bundle.manifest().features)),
        micro_batch_(settings.micro_batch > 0 ? settings.micro_batch : settings.cuda ? kGpuMicroBatch : kMicroBatch),
        dense_(settings.dense),
        path_(file.path),
        place_(file.path + ": " + (settings.cuda ? "onnxruntime-cuda" : "onnxruntime-cpu") + " failed") {}

  void encode(const RgbView& frame, const std::vector<int>& views, float* features) override {
    if (dense_)
      encode_blocks(frame, views, features);
    else
      encode_batches(frame, views, features);
    if (!std::all_of(features, features + views.size() * features_, [](float value) { return std::isfinite(value); }))
      throw EngineError(path_ + ": gave features that are not finite numbers",
                        "use a graph of another precision, or export the bundle again");
  }

 private:
  // The encoder on views, a micro-batch at a time.
  void encode_batches(const RgbView& frame, const std::vector<int>& views, float* features) {
    const std::size_t most = static_cast<std::size_t>(micro_batch_);
    const auto side = static_cast<std::size_t>(geometry_.size);
    const std::size_t pixels_of_view = 3 * side * side;
    make_room(pixels_, std::min(most, views.size()) * pixels_of_view);
    for (std::size_t start = 0; start < views.size(); start += most) {
      const std::size_t count = std::min(most, views.size() - start);
      for (std::size_t place = 0; place < count; ++place)
        cut_view(frame, views[start + place], pixels_.data() + place * pixels_of_view);
      run(count, geometry_.size, geometry_.size, features + start * features_, count);
    }
  }

  void cut_view(const RgbView& frame, int view, float* pixels) const {
    const Grid grid = geometry_.grid(frame.height, frame.width);
    if (view == grid.windows()) {
      scale_.resize_to_view(frame, pixels);
      return;
    }
    const int top = view / grid.columns * geometry_.stride, left = view % grid.columns * geometry_.stride;
    scale_.normalise(frame, top, left, geometry_.size, geometry_.size, pixels);
  }

  // The encoder on blocks of neighbouring windows, those that hold a wanted one. Its windows see their neighbours where
  // a view alone sees the convolutions' zero padding. How a frame is cut depends on its size alone, so that a view's
  // features never depend on which others were asked for.
  void encode_blocks(const RgbView& frame, const std::vector<int>& views, float* features) {
    const Grid grid = geometry_.grid(frame.height, frame.width);
    split_into_blocks(grid, geometry_, kBlockSide, blocks_);
    for (const Block& block : blocks_) {
      const auto holds = [&](int view) {
        const int row = view / grid.columns - block.row, column = view % grid.columns - block.column;
        return view < grid.windows() && row >= 0 && row < block.rows && column >= 0 && column < block.columns;
      };
      if (std::none_of(views.begin(), views.end(), holds)) continue;
      const auto held = static_cast<std::size_t>(block.rows) * static_cast<std::size_t>(block.columns);
      make_room(pixels_, 3 * static_cast<std::size_t>(block.height) * static_cast<std::size_t>(block.width));
      make_room(block_features_, held * features_);
      scale_.normalise(frame, block.top, block.left, block.height, block.width, pixels_.data());
      run(1, block.height, block.width, block_features_.data(), held);
      for (std::size_t place = 0; place < views.size(); ++place) {
        if (!holds(views[place])) continue;
        const int row = views[place] / grid.columns - block.row, column = views[place] % grid.columns - block.column;
        const auto from = static_cast<std::size_t>(row * block.columns + column) * features_;
        std::copy_n(block_features_.data() + from, features_, features + place * features_);
      }
    }
    for (std::size_t place = 0; place < views.size(); ++place) {
      if (views[place] != grid.windows()) continue;
      const auto side = static_cast<std::size_t>(geometry_.size);
      make_room(pixels_, 3 * side * side);
      scale_.resize_to_view(frame, pixels_.data());
      run(1, geometry_.size, geometry_.size, features + place * features_, 1);
    }
  }

  void run(std::size_t count, int height, int width, float* features, std::size_t rows) {
    session_.run(pixels_.data(), {static_cast<std::int64_t>(count), 3, height, width}, features,
                 {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(features_)}, place_);
  }

  static void make_room(std::vector<float>& values, std::size_t count) {
    if (values.size() < count) values.resize(count);
  }

  Session session_;
  ViewGeometry geometry_;
  PixelScale scale_;
  std::size_t features_;  // D
  int micro_batch_;
  bool dense_;
  std::string path_, place_;
  std::vector<Block> blocks_;
  std::vector<float> pixels_, block_features_;
};

}  // namespace

std::unique_ptr<Engine> open_onnxruntime_engine(const Bundle& bundle, const BundleFile& file,
                                                std::shared_ptr<const OnnxRuntimeLibrary> library,
                                                const OnnxRuntimeSettings& settings) {
  return std::make_unique<OnnxRuntimeEngine>(bundle, file, std::move(library), settings);
}

}  // namespace maclip
