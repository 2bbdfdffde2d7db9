// The C interface with arguments that cannot be, and from several threads at once. Run with sanitizers, too.
#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "expect.hpp"
#include "maclip.h"

namespace {

maclip_error make_error() {
  maclip_error error{};
  error.size = sizeof error;
  return error;
}

// Whether a call was refused with that status, and a line that has that text.
bool is_refused(maclip_status found, maclip_status wanted, const maclip_error& error, const char* text) {
  if (found != wanted || error.status != wanted || std::strstr(error.message, text) == nullptr) {
    std::fprintf(stderr, "%d: %s\n", found, error.message);
    return false;
  }
  return std::strchr(error.message, '\n') == nullptr;
}

struct Picture {
  std::vector<std::uint8_t> pixels;
  maclip_frame frame{};

  Picture(std::uint32_t width, std::uint32_t height, unsigned seed = 1) : pixels(std::size_t{3} * width * height) {
    for (auto& value : pixels) value = static_cast<std::uint8_t>((seed = seed * 1664525U + 1013904223U) >> 24);
    frame.size = sizeof frame;
    frame.format = MACLIP_FORMAT_RGB;
    frame.width = width;
    frame.height = height;
    frame.planes[0] = pixels.data();
    frame.strides[0] = std::size_t{3} * width;
  }
};

maclip_result make_result() {
  maclip_result result{};
  result.size = sizeof result;
  return result;
}

void test_opening(const char* bundle) {
  auto error = make_error();
  auto* scorer = reinterpret_cast<maclip_scorer*>(1);
  EXPECT(is_refused(maclip_open(nullptr, nullptr, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "path is NULL"));
  EXPECT(scorer == nullptr);
  EXPECT(is_refused(maclip_open(bundle, nullptr, nullptr, &error), MACLIP_ERROR_ARGUMENT, error, "scorer is NULL"));
  EXPECT(is_refused(maclip_open("", nullptr, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "path is empty"));
  EXPECT(is_refused(maclip_open("/nowhere", nullptr, &scorer, &error), MACLIP_ERROR_BUNDLE, error, "no such bundle"));
  EXPECT(maclip_open("/nowhere", nullptr, &scorer, nullptr) == MACLIP_ERROR_BUNDLE);

  maclip_options options{};
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error,
                    "maclip_options has a size of 0 bytes"));
  options.size = sizeof options + 8;
  EXPECT(maclip_open(bundle, &options, &scorer, &error) == MACLIP_ERROR_ARGUMENT);
  options.size = sizeof options;
  options.engine = "tensorrt";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error,
                    "unknown engine 'tensorrt'; use one of auto, onnxruntime-cuda, onnxruntime-cpu"));
  options.engine = nullptr;
  options.precision = "\x1b[2J";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "'\\x1b[2J'"));
  options.precision = "int8";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_BUNDLE, error,
                    "has no image encoder in int8"));
  options.precision = nullptr;
  options.view_mode = "sparse";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "unknown view mode"));
  options.view_mode = nullptr;
  options.threads = 0xFFFFFFFF;
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "threads is 4294967295"));
  options.threads = 0;
  options.device = 1;
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ARGUMENT, error, "runs on the CPU"));
  options.device = 0;
  options.onnxruntime_library = "/nowhere/libonnxruntime.so";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ENGINE, error,
                    "ONNX Runtime cannot be opened (/nowhere/libonnxruntime.so"));
  options.onnxruntime_library = "libc.so.6";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ENGINE, error, "not ONNX Runtime"));
  options.onnxruntime_library = nullptr;
  options.engine = "onnxruntime-cuda";
  EXPECT(is_refused(maclip_open(bundle, &options, &scorer, &error), MACLIP_ERROR_ENGINE, error, "CUDAExecutionProvider"));
  EXPECT(scorer == nullptr);
  options.engine = "auto";
  EXPECT(maclip_open(bundle, &options, &scorer, &error) == MACLIP_OK);
  maclip_info info{};
  info.size = sizeof info;
  EXPECT(maclip_describe(scorer, &info, nullptr) == MACLIP_OK && std::strcmp(info.engine, "onnxruntime-cpu") == 0);
  maclip_close(scorer);
  maclip_close(nullptr);
  maclip_stream_close(nullptr);
}

void test_an_error_struct_of_another_size_is_not_written_to(const char* bundle) {
  maclip_error error{};
  error.size = sizeof error - 1;
  error.message[0] = 'x';
  maclip_scorer* scorer = nullptr;
  EXPECT(maclip_open(bundle, nullptr, &scorer, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(error.message[0] == 'x' && scorer == nullptr);
}

void test_a_message_that_is_too_long_is_cut_between_characters() {
  std::string path = "/x";
  for (int i = 0; i < 800; ++i) path += "\xc3\xbc";
  auto error = make_error();
  maclip_scorer* scorer = nullptr;
  EXPECT(maclip_open(path.c_str(), nullptr, &scorer, &error) == MACLIP_ERROR_BUNDLE);
  EXPECT(std::strlen(error.message) == sizeof error.message - 2);
}

void test_frames(maclip_scorer* scorer) {
  auto error = make_error();
  auto result = make_result();
  const Picture picture(300, 260);
  const auto refuse = [&](const maclip_frame& frame, maclip_status status, const char* text) {
    return is_refused(maclip_score(scorer, &frame, &result, &error), status, error, text);
  };
  EXPECT(is_refused(maclip_score(nullptr, &picture.frame, &result, &error), MACLIP_ERROR_ARGUMENT, error, "scorer is NULL"));
  EXPECT(is_refused(maclip_score(scorer, nullptr, &result, &error), MACLIP_ERROR_ARGUMENT, error, "maclip_frame is NULL"));
  EXPECT(is_refused(maclip_score(scorer, &picture.frame, nullptr, &error), MACLIP_ERROR_ARGUMENT, error, "maclip_result is NULL"));
  maclip_frame frame = picture.frame;
  frame.size = 0;
  EXPECT(refuse(frame, MACLIP_ERROR_ARGUMENT, "maclip_frame has a size of 0 bytes"));
  frame = picture.frame;
  frame.width = 0;
  EXPECT(maclip_score(scorer, &frame, &result, &error) == MACLIP_ERROR_FRAME);
  frame.width = frame.height = 0xFFFFFFFF;
  frame.strides[0] = std::size_t{3} * 0xFFFFFFFF;
  EXPECT(refuse(frame, MACLIP_ERROR_FRAME, "more than 114 megapixels"));
  frame = picture.frame;
  frame.strides[0] -= 1;
  EXPECT(maclip_score(scorer, &frame, &result, &error) == MACLIP_ERROR_ARGUMENT);
  frame = picture.frame;
  frame.planes[0] = nullptr;
  EXPECT(maclip_score(scorer, &frame, &result, &error) == MACLIP_ERROR_ARGUMENT);
  frame = picture.frame;
  frame.format = static_cast<maclip_pixel_format>(77);
  EXPECT(maclip_score(scorer, &frame, &result, &error) == MACLIP_ERROR_ARGUMENT);
  frame.format = MACLIP_FORMAT_NV12;
  EXPECT(maclip_score(scorer, &frame, &result, &error) == MACLIP_ERROR_ARGUMENT);
  frame = picture.frame;
  frame.width = 100'000'000;
  frame.height = 1;
  frame.strides[0] = std::size_t{3} * frame.width;
  EXPECT(refuse(frame, MACLIP_ERROR_FRAME, "is too narrow"));
  EXPECT(maclip_score(scorer, &picture.frame, &result, &error) == MACLIP_OK);
  EXPECT(error.message[0] == '\0' && result.views == 2 && result.score > 0);
}

void test_results(maclip_scorer* scorer) {
  auto error = make_error();
  const Picture picture(300, 260);
  maclip_info info{};
  info.size = sizeof info;
  EXPECT(maclip_describe(scorer, &info, &error) == MACLIP_OK);
  EXPECT(maclip_describe(nullptr, &info, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_describe(scorer, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_attribute_name(nullptr, 0) == nullptr);
  EXPECT(maclip_attribute_name(scorer, info.attributes) == nullptr);
  std::vector<float> attributes(info.attributes);
  auto result = make_result();
  result.attributes = attributes.data();
  result.attributes_capacity = info.attributes - 1;
  EXPECT(is_refused(maclip_score(scorer, &picture.frame, &result, &error), MACLIP_ERROR_ARGUMENT, error, "attributes has room for"));
  result.attributes_capacity = info.attributes;
  std::array<float, 2> scores{};
  result.view_score = scores.data();
  result.views_capacity = 1;
  EXPECT(maclip_score(scorer, &picture.frame, &result, &error) == MACLIP_ERROR_ARGUMENT);
  result.views_capacity = 2;
  EXPECT(maclip_score(scorer, &picture.frame, &result, &error) == MACLIP_OK);
  EXPECT(scores[0] > 0 && scores[1] > 0 && attributes.back() > 0);

  std::uint32_t views = 0;
  EXPECT(maclip_count_views(scorer, 0, 5, &views, &error) == MACLIP_ERROR_FRAME);
  EXPECT(maclip_count_views(scorer, 5, 5, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_count_views(scorer, 300, 260, &views, &error) == MACLIP_OK && views == 2);

  maclip_map map{};
  map.size = sizeof map;
  EXPECT(maclip_blend_map(scorer, &result, nullptr, &map, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_blend_map(scorer, nullptr, "score", &map, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_blend_map(scorer, &result, "score", nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_blend_map(scorer, &result, "score", &map, &error) == MACLIP_OK && map.rows == 7 && map.columns == 7);
  std::array<float, 49> values{};
  map.values = values.data();
  map.values_capacity = 48;
  EXPECT(is_refused(maclip_blend_map(scorer, &result, "score", &map, &error), MACLIP_ERROR_ARGUMENT, error, "49 cells"));
  map.values_capacity = 49;
  EXPECT(maclip_blend_map(scorer, &result, "similarity", &map, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_blend_map(scorer, &result, "score", &map, &error) == MACLIP_OK && values[24] == scores[0]);
  result.views = 3;
  EXPECT(maclip_blend_map(scorer, &result, "score", &map, &error) == MACLIP_ERROR_ARGUMENT);
}

void test_streams(maclip_scorer* scorer) {
  auto error = make_error();
  auto result = make_result();
  const Picture picture(300, 260);
  maclip_stream* stream = nullptr;
  EXPECT(maclip_stream_open(nullptr, nullptr, &stream, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_stream_open(scorer, nullptr, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_stream_push(nullptr, &picture.frame, 0, &result, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_stream_open(scorer, nullptr, &stream, &error) == MACLIP_OK);
  EXPECT(maclip_stream_push(stream, nullptr, 0, &result, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  EXPECT(maclip_stream_push(stream, &picture.frame, 0, nullptr, nullptr, &error) == MACLIP_ERROR_ARGUMENT);
  maclip_reading reading{};
  EXPECT(is_refused(maclip_stream_push(stream, &picture.frame, 0, &result, &reading, &error), MACLIP_ERROR_ARGUMENT, error,
                    "maclip_reading has a size of 0"));
  reading.size = sizeof reading;
  EXPECT(maclip_stream_push(stream, &picture.frame, 0, &result, &reading, &error) == MACLIP_OK);
  EXPECT(reading.scene == 1 && reading.refreshed == 2);
  maclip_stream_close(stream);
}

// Scores of one handle from four threads, two streams of it, and another handle opened and closed meanwhile: every
// frame has the score that it has alone.
void test_threads(maclip_scorer* scorer, const char* bundle) {
  const std::array<Picture, 3> pictures{Picture(300, 260, 7), Picture(224, 480, 8), Picture(90, 120, 9)};
  std::array<float, 3> alone{};
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    auto result = make_result();
    EXPECT(maclip_score(scorer, &pictures[i].frame, &result, nullptr) == MACLIP_OK);
    alone[i] = result.score;
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t which = (t + i) % pictures.size();
        auto result = make_result();
        auto error = make_error();
        if (maclip_score(scorer, &pictures[which].frame, &result, &error) != MACLIP_OK || result.score != alone[which])
          ++wrong;
      }
    });
  for (int s = 0; s < 2; ++s)
    threads.emplace_back([&] {
      maclip_stream_options options{};
      options.size = sizeof options;
      options.views_per_frame = MACLIP_VIEWS_ALL;
      maclip_stream* stream = nullptr;
      if (maclip_stream_open(scorer, &options, &stream, nullptr) != MACLIP_OK) ++wrong;
      for (int i = 0; i < 3; ++i) {
        auto result = make_result();
        if (maclip_stream_push(stream, &pictures[0].frame, i, &result, nullptr, nullptr) != MACLIP_OK ||
            result.score != alone[0])
          ++wrong;
      }
      maclip_stream_close(stream);
    });
  threads.emplace_back([&] {
    maclip_scorer* other = nullptr;
    auto result = make_result();
    if (maclip_open(bundle, nullptr, &other, nullptr) != MACLIP_OK ||
        maclip_score(other, &pictures[1].frame, &result, nullptr) != MACLIP_OK)
      ++wrong;
    maclip_close(other);
  });
  for (auto& thread : threads) thread.join();
  EXPECT(wrong == 0);
}

}  // namespace

int main() {
  const std::string bundle = need_variable("MACLIP_TEST_BUNDLE");
  need_variable("MACLIP_ONNXRUNTIME_LIBRARY");
  test_opening(bundle.c_str());
  test_an_error_struct_of_another_size_is_not_written_to(bundle.c_str());
  test_a_message_that_is_too_long_is_cut_between_characters();
  maclip_scorer* scorer = nullptr;
  maclip_options options{};
  options.size = sizeof options;
  options.threads = 1;
  EXPECT(maclip_open(bundle.c_str(), &options, &scorer, nullptr) == MACLIP_OK);
  test_frames(scorer);
  test_results(scorer);
  test_streams(scorer);
  test_threads(scorer, bundle.c_str());
  maclip_close(scorer);
  EXPECT(std::string(maclip_version()) == "0.1.0");
  EXPECT(std::string(maclip_status_name(MACLIP_ERROR_BUNDLE)) == "unusable bundle");
}
