// Scores pictures, or raw frames on stdin, and writes the JSON lines of `maclip score --format jsonl`: no Python.
//
// Results go to stdout, errors to stderr. Exit status: 0 all scored, 1 some failed, 2 wrong usage or an unusable bundle.

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "maclip.h"
#include "pictures.h"

namespace {

using Json = nlohmann::ordered_json;

const char kUsage[] =
    "usage: maclip-score --bundle DIR [options] PICTURE...\n"
    "       maclip-score --bundle DIR [options] --size HxW --pixel-format FORMAT -\n"
    "\n"
    "  --engine NAME        onnxruntime-cpu (default), onnxruntime-cuda, or auto\n"
    "  --precision NAME     fp32, fp16 or int8\n"
    "  --views MODE         exact (default) or dense\n"
    "  --threads N          CPU threads; by default one per physical core\n"
    "  --onnxruntime FILE   libonnxruntime.so; by default MACLIP_ONNXRUNTIME_LIBRARY, then the system's\n"
    "  --size HxW           of raw frames on stdin\n"
    "  --pixel-format NAME  rgb24, bgr24, rgba, bgra, gray8, nv12, yuv420p or yuyv422\n"
    "  --matrix NAME        bt601, bt709 or bt2020; by default by the frames' size\n"
    "  --range NAME         limited (default) or full\n";

constexpr std::streamoff kMostBytes = 512'000'000;  // of a file, as in Python

// A picture or frame that cannot be scored; the others can.
struct Failed : std::runtime_error {
  using runtime_error::runtime_error;
};

class Scorer {
 public:
  explicit Scorer(const Arguments& arguments) {
    const auto text = [](const std::optional<std::string>& word) { return word ? word->c_str() : nullptr; };
    maclip_options options{};
    options.size = sizeof options;
    options.engine = text(arguments.engine);
    options.precision = text(arguments.precision);
    options.view_mode = text(arguments.views);
    options.threads = arguments.threads;
    if (!arguments.onnxruntime.empty()) options.onnxruntime_library = arguments.onnxruntime.c_str();
    error_.size = sizeof error_;
    info_.size = sizeof info_;
    if (maclip_open(arguments.bundle.c_str(), &options, &scorer_, &error_) != MACLIP_OK ||
        maclip_describe(scorer_, &info_, &error_) != MACLIP_OK)
      throw Unusable(error_.message);
  }
  ~Scorer() { maclip_close(scorer_); }
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  // The record of a frame, as Python's results/record.py has it.
  Json score(const std::string& path, const maclip_frame& frame) {
    std::vector<float> attributes(info_.attributes);
    maclip_result result{};
    result.size = sizeof result;
    result.attributes = attributes.data();
    result.attributes_capacity = info_.attributes;
    if (maclip_score(scorer_, &frame, &result, &error_) != MACLIP_OK) throw Failed(error_.message);
    Json pairs = Json::object();
    for (std::uint32_t i = 0; i < info_.attributes; ++i)
      pairs[maclip_attribute_name(scorer_, i)] = round_digits(attributes[i]);
    return {{"path", path},
            {"score", round_digits(result.score)},
            {"similarity", round_digits(result.similarity)},
            {"magnitude", round_digits(result.magnitude)},
            {"weight", round_digits(result.weight)},
            {"attributes", pairs},
            {"views", result.views},
            {"width", result.width},
            {"height", result.height},
            {"enlarged", result.enlarged != 0},
            {"preset", "native"},
            {"engine", info_.engine},
            {"precision", info_.precision},
            {"view_mode", info_.view_mode},
            {"bundle", info_.bundle}};
  }

 private:
  // Scores are float32: more digits than seven say nothing.
  static double round_digits(float value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, double{value}, std::chars_format::general, 7).ptr;
    double rounded = 0;
    std::from_chars(digits, end, rounded);
    return rounded;
  }

  maclip_scorer* scorer_ = nullptr;
  maclip_error error_{};
  maclip_info info_{};
};

std::vector<std::uint8_t> read_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0)
    throw Failed(errno == ENOENT ? "no such file" : std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw Failed("not a regular file; give a picture's path, or its bytes");
  if (status.st_size > kMostBytes) throw Failed("a file of more than 512 MB; scale it down first");
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> data(static_cast<std::size_t>(status.st_size));
  if (!file || !file.read(reinterpret_cast<char*>(data.data()), status.st_size))
    throw Failed(std::string("cannot be read: ") + std::strerror(errno));
  return data;
}

Json score_picture(Scorer& scorer, const std::string& path) {
  const auto data = read_file(path);
  picture decoded{};
  char reason[256] = "";
  if (!read_picture(data.data(), data.size(), &decoded, reason, sizeof reason)) throw Failed(reason);
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> owned(decoded.pixels, std::free);
  maclip_frame frame{};
  frame.size = sizeof frame;
  frame.format = decoded.channels == 4 ? MACLIP_FORMAT_RGBA : MACLIP_FORMAT_RGB;
  frame.width = decoded.width;
  frame.height = decoded.height;
  frame.planes[0] = decoded.pixels;
  frame.strides[0] = std::size_t{decoded.width} * decoded.channels;
  return scorer.score(path, frame);
}

void write_line(const Json& record) {
  // As Python's json: ASCII alone. A path that is not UTF-8 has its bytes replaced.
  const std::string line = record.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (std::printf("%s\n", line.c_str()) < 0 || std::fflush(stdout) != 0)
    throw Unusable(std::string("stdout: cannot be written (") + std::strerror(errno) + ")");
}

bool score_pictures(Scorer& scorer, const std::vector<std::string>& paths) {
  bool all = true;
  for (const auto& path : paths) {
    try {
      write_line(score_picture(scorer, path));
    } catch (const Failed& failure) {
      all = false;
      std::fprintf(stderr, "error: %s: %s\n", path.c_str(), failure.what());
      write_line({{"path", path}, {"error", failure.what()}});
    }
  }
  return all;
}

struct Plane {
  std::size_t stride, rows;
};

// The planes of a frame without gaps between its rows.
std::vector<Plane> list_planes(maclip_pixel_format format, std::size_t width, std::size_t height) {
  const std::size_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
  switch (format) {
    case MACLIP_FORMAT_GRAY:
      return {{width, height}};
    case MACLIP_FORMAT_NV12:
      return {{width, height}, {2 * half_width, half_height}};
    case MACLIP_FORMAT_I420:
      return {{width, height}, {half_width, half_height}, {half_width, half_height}};
    case MACLIP_FORMAT_YUYV:
      return {{4 * half_width, height}};
    case MACLIP_FORMAT_RGBA:
    case MACLIP_FORMAT_BGRA:
      return {{4 * width, height}};
    default:
      return {{3 * width, height}};
  }
}

// Where the planes are in `data`, and the bytes of all of them together.
std::size_t lay_out_planes(const Arguments& arguments, maclip_frame& frame, const std::uint8_t* data) {
  const auto planes = list_planes(arguments.format, arguments.width, arguments.height);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < planes.size(); ++i) {
    frame.planes[i] = data == nullptr ? nullptr : data + bytes;
    frame.strides[i] = planes[i].stride;
    bytes += planes[i].stride * planes[i].rows;
  }
  return bytes;
}

bool score_raw_frames(Scorer& scorer, const Arguments& arguments) {
  maclip_frame frame{};
  frame.size = sizeof frame;
  frame.format = arguments.format;
  frame.width = arguments.width;
  frame.height = arguments.height;
  frame.matrix = arguments.matrix;
  frame.range = arguments.range;
  std::vector<std::uint8_t> data(lay_out_planes(arguments, frame, nullptr));
  lay_out_planes(arguments, frame, data.data());
  for (unsigned long number = 0;; ++number) {
    const std::size_t got = std::fread(data.data(), 1, data.size(), stdin);
    if (got == 0) return true;
    if (got < data.size()) {
      std::fprintf(stderr, "error: -: the last frame is cut off: %zu of %zu bytes\n", got, data.size());
      return false;
    }
    Json record = scorer.score("-", frame);
    record["frame"] = number;
    write_line(record);
  }
}

int run(int count, char** given) {
  for (int i = 1; i < count; ++i)
    if (std::strcmp(given[i], "--help") == 0) return std::fputs(kUsage, stdout) < 0 ? 2 : 0;
  const Arguments arguments = parse_arguments(count, given);
  Scorer scorer(arguments);
  return (arguments.raw() ? score_raw_frames(scorer, arguments) : score_pictures(scorer, arguments.pictures)) ? 0 : 1;
}

}  // namespace

int main(int count, char** given) {
  try {
    return run(count, given);
  } catch (const Failed& failure) {
    std::fprintf(stderr, "error: -: %s\n", failure.what());
    return 1;
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "error: %s\n", fault.what());
    return 2;
  }
}
