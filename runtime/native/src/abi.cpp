// The C interface: arguments are checked here, and no exception leaves.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "enlargement.hpp"
#include "errors.hpp"
#include "maclip.h"
#include "python_words.hpp"
#include "quality_map.hpp"
#include "scorer.hpp"
#include "stream.hpp"

struct maclip_scorer {
  std::shared_ptr<maclip::Scorer> scorer;
};

struct maclip_stream {
  maclip::Stream stream;
};

namespace {

using maclip::ArgumentError;

constexpr std::uint32_t kDefaultViews = 8;           // a frame, as in Python
constexpr std::uint64_t kMostPixels = 114'000'000;   // of a frame, as in Python
constexpr std::uint32_t kMostThreads = 1024, kMostMicroBatch = 1024, kMostDevices = 1024;

void report(maclip_error* error, maclip_status status, const char* message) {
  if (error == nullptr) return;
  error->status = status;
  const auto text = std::string_view(message);
  std::size_t length = std::min(text.size(), sizeof error->message - 1);
  // A character that would be cut in two is left out.
  if (length < text.size())
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::copy_n(text.data(), length, error->message);
  error->message[length] = '\0';
}

// Runs what a function does, and turns what is thrown into a status and a message.
template <typename Action>
maclip_status guard(maclip_error* error, Action action) noexcept {
  if (error != nullptr && error->size != sizeof *error) return MACLIP_ERROR_ARGUMENT;
  maclip_status status = MACLIP_ERROR_INTERNAL;
  try {
    try {
      action();
      report(error, MACLIP_OK, "");
      return MACLIP_OK;
    } catch (const maclip::Error& fault) {
      status = fault.status();
      report(error, status, fault.what());
    } catch (const std::bad_alloc&) {
      status = MACLIP_ERROR_MEMORY;
      report(error, status, "not enough memory");
    } catch (const std::exception& fault) {
      report(error, status, fault.what());
    }
  } catch (...) {
    report(error, status, "an unknown fault");
  }
  return status;
}

template <typename T>
T& check_pointer(T* pointer, const char* name) {
  if (pointer == nullptr) throw ArgumentError(std::string(name) + " is NULL");
  return *pointer;
}

template <typename T>
T& check_struct(T* given, const char* type) {
  if (given == nullptr) throw ArgumentError(std::string(type) + " is NULL");
  if (given->size != sizeof(T))
    throw ArgumentError(std::string(type) + " has a size of " + std::to_string(given->size) +
                            " bytes, and this library knows " + std::to_string(sizeof(T)),
                        "set its size to sizeof, and compile against the header of this library");
  return *given;
}

std::string get_text(const char* given, const char* variable) {
  if (given != nullptr) return given;
  const char* found = std::getenv(variable);
  return found == nullptr ? "" : found;
}

int get_number(std::uint32_t given, std::uint32_t most, const char* name) {
  if (given > most)
    throw ArgumentError(std::string(name) + " is " + std::to_string(given) + ", and must be at most " +
                        std::to_string(most));
  return static_cast<int>(given);
}

maclip::EngineChoice read_options(const maclip_options& options) {
  maclip::EngineChoice choice;
  if (options.engine != nullptr) choice.engine = options.engine;
  if (options.precision != nullptr) choice.precision = options.precision;
  if (options.view_mode != nullptr) choice.view_mode = options.view_mode;
  choice.threads = get_number(options.threads, kMostThreads, "threads");
  choice.device = get_number(options.device, kMostDevices, "device");
  choice.micro_batch = get_number(options.micro_batch, kMostMicroBatch, "micro_batch");
  choice.onnxruntime_library = get_text(options.onnxruntime_library, "MACLIP_ONNXRUNTIME_LIBRARY");
  return choice;
}

// The size at which a frame is scored.
maclip::FrameSize find_scored_size(const maclip::Scorer& scorer, std::uint32_t width, std::uint32_t height) {
  if (width == 0 || height == 0) throw maclip::FrameError("a frame of " + std::to_string(width) + " x " +
                                                          std::to_string(height) + " has no pixels");
  if (std::uint64_t{width} * height > kMostPixels)
    throw maclip::FrameError("more than 114 megapixels", "scale it down first");
  return maclip::enlarge_size({static_cast<int>(width), static_cast<int>(height)}, scorer.method().views.size);
}

// A quantity of the windows: where its values begin in a result's arrays, and how far apart they are.
struct Quantity {
  const float* values;
  std::size_t step;
};

Quantity find_quantity(const maclip::Scorer& scorer, const maclip_result& result, const std::string& name) {
  if (name == "score") return {result.view_score, 1};
  if (name == "similarity") return {result.view_similarity, 1};
  if (name == "magnitude") return {result.view_magnitude, 1};
  const auto& names = scorer.attribute_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::vector<std::string> known{"score", "similarity", "magnitude"};
    known.insert(known.end(), names.begin(), names.end());
    throw ArgumentError("unknown quantity " + maclip::show_string(name), "use one of " + maclip::join(known));
  }
  const auto place = found - names.begin();
  return {result.view_attributes == nullptr ? nullptr : result.view_attributes + place, names.size()};
}

void blend_map(const maclip::Scorer& scorer, const maclip_result& result, const std::string& name, maclip_map& map) {
  const auto& geometry = scorer.method().views;
  const maclip::FrameSize size = find_scored_size(scorer, result.width, result.height);
  const maclip::Grid grid = geometry.grid(size.height, size.width);
  if (result.views != static_cast<std::uint32_t>(grid.windows() + 1))
    throw ArgumentError("the result has " + std::to_string(result.views) + " views, and its frame " +
                        std::to_string(grid.windows() + 1));
  const Quantity quantity = find_quantity(scorer, result, name);
  const maclip::MapLayout layout = maclip::lay_out_map(geometry, grid);
  map.rows = static_cast<std::uint32_t>(layout.rows);
  map.columns = static_cast<std::uint32_t>(layout.columns);
  map.cell = static_cast<std::uint32_t>(layout.cell);
  map.box[0] = map.box[1] = 0;
  map.box[2] = static_cast<float>(layout.columns * layout.cell * (static_cast<double>(result.width) / size.width));
  map.box[3] = static_cast<float>(layout.rows * layout.cell * (static_cast<double>(result.height) / size.height));
  if (map.values == nullptr) return;
  const std::size_t cells = std::size_t{map.rows} * map.columns;
  if (map.values_capacity < cells)
    throw ArgumentError("values has room for " + std::to_string(map.values_capacity) + ", and the map has " +
                        std::to_string(cells) + " cells");
  if (quantity.values == nullptr || result.views_capacity < result.views)
    throw ArgumentError("the result has no values of its views for " + maclip::show_string(name),
                        "give maclip_score an array for them");
  std::vector<float> windows(static_cast<std::size_t>(grid.windows()));
  for (std::size_t window = 0; window < windows.size(); ++window)
    windows[window] = quantity.values[window * quantity.step];
  maclip::blend_windows(windows.data(), geometry, grid, map.values);
}

}  // namespace

maclip_status maclip_open(const char* path, const maclip_options* options, maclip_scorer** scorer,
                          maclip_error* error) {
  if (scorer != nullptr) *scorer = nullptr;
  return guard(error, [&] {
    check_pointer(scorer, "scorer");
    const maclip_options defaults{sizeof(maclip_options), nullptr, nullptr, nullptr, 0, 0, 0, nullptr, nullptr};
    const maclip_options& given = options == nullptr ? defaults : check_struct(options, "maclip_options");
    const std::string keys = get_text(given.trusted_keys, "MACLIP_TRUSTED_KEYS");
    auto opened = std::make_unique<maclip_scorer>();
    opened->scorer = maclip::open_scorer(&check_pointer(path, "path"), keys, read_options(given));
    *scorer = opened.release();
  });
}

void maclip_close(maclip_scorer* scorer) { delete scorer; }

maclip_status maclip_describe(const maclip_scorer* scorer, maclip_info* info, maclip_error* error) {
  return guard(error, [&] {
    const maclip::Scorer& opened = *check_pointer(scorer, "scorer").scorer;
    maclip_info& told = check_struct(info, "maclip_info");
    told.bundle = opened.bundle_name().c_str();
    told.engine = opened.engine().name.c_str();
    told.precision = opened.engine().precision.c_str();
    told.view_mode = opened.engine().view_mode.c_str();
    told.view_size = static_cast<std::uint32_t>(opened.method().views.size);
    told.view_stride = static_cast<std::uint32_t>(opened.method().views.stride);
    told.features = static_cast<std::uint32_t>(opened.features());
    told.attributes = static_cast<std::uint32_t>(opened.pairs());
  });
}

const char* maclip_attribute_name(const maclip_scorer* scorer, std::uint32_t index) {
  if (scorer == nullptr || index >= scorer->scorer->pairs()) return nullptr;
  return scorer->scorer->attribute_names()[index].c_str();
}

maclip_status maclip_count_views(const maclip_scorer* scorer, std::uint32_t width, std::uint32_t height,
                                 std::uint32_t* views, maclip_error* error) {
  return guard(error, [&] {
    const maclip::Scorer& opened = *check_pointer(scorer, "scorer").scorer;
    const maclip::FrameSize size = find_scored_size(opened, width, height);
    check_pointer(views, "views") = static_cast<std::uint32_t>(opened.method().views.count(size.height, size.width));
  });
}

maclip_status maclip_score(maclip_scorer* scorer, const maclip_frame* frame, maclip_result* result,
                           maclip_error* error) {
  return guard(error, [&] {
    maclip::Scorer& opened = *check_pointer(scorer, "scorer").scorer;
    opened.score(check_struct(frame, "maclip_frame"), check_struct(result, "maclip_result"));
  });
}

maclip_status maclip_blend_map(const maclip_scorer* scorer, const maclip_result* result, const char* quantity,
                               maclip_map* map, maclip_error* error) {
  return guard(error, [&] {
    const maclip::Scorer& opened = *check_pointer(scorer, "scorer").scorer;
    const maclip_result& scored = check_struct(result, "maclip_result");
    blend_map(opened, scored, &check_pointer(quantity, "quantity"), check_struct(map, "maclip_map"));
  });
}

maclip_status maclip_stream_open(maclip_scorer* scorer, const maclip_stream_options* options, maclip_stream** stream,
                                 maclip_error* error) {
  if (stream != nullptr) *stream = nullptr;
  return guard(error, [&] {
    check_pointer(stream, "stream");
    const auto& opened = check_pointer(scorer, "scorer").scorer;
    const maclip_stream_options defaults{sizeof(maclip_stream_options), 0, 0};
    const auto& given = options == nullptr ? defaults : check_struct(options, "maclip_stream_options");
    if (!(given.budget >= 0) || std::isinf(given.budget))
      throw ArgumentError("a budget of " + maclip::show_number(given.budget) + " seconds a frame",
                          "give a number above 0");
    const std::uint32_t views = given.views_per_frame == 0 ? kDefaultViews : given.views_per_frame;
    *stream = new maclip_stream{maclip::Stream(opened, views, given.budget)};
  });
}

maclip_status maclip_stream_push(maclip_stream* stream, const maclip_frame* frame, double time, maclip_result* result,
                                 maclip_reading* reading, maclip_error* error) {
  return guard(error, [&] {
    maclip::Stream& opened = check_pointer(stream, "stream").stream;
    if (reading != nullptr) check_struct(reading, "maclip_reading");
    opened.push(check_struct(frame, "maclip_frame"), time, check_struct(result, "maclip_result"), reading);
  });
}

void maclip_stream_close(maclip_stream* stream) { delete stream; }

const char* maclip_version(void) { return MACLIP_VERSION; }

const char* maclip_status_name(maclip_status status) {
  switch (status) {
    case MACLIP_OK:
      return "ok";
    case MACLIP_ERROR_ARGUMENT:
      return "unknown argument";
    case MACLIP_ERROR_BUNDLE:
      return "unusable bundle";
    case MACLIP_ERROR_ENGINE:
      return "unusable engine";
    case MACLIP_ERROR_FRAME:
      return "unusable frame";
    case MACLIP_ERROR_MEMORY:
      return "not enough memory";
    case MACLIP_ERROR_INTERNAL:
      return "a fault of the library";
  }
  return "unknown status";
}
