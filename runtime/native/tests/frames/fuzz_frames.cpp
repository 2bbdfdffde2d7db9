// Frames of every geometry, possible and impossible, through the C interface and behind it.
//
//     fuzz_frames BUNDLE COUNT [SEED]
//
// Planes lie in memory of exactly the size that their strides say, so that a sanitizer sees every byte read beyond.
// What must be refused and what not is decided here, by the rules of maclip.h, and compared. One frame in 40 is
// pushed into a stream as well; the scores must be numbers.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "errors.hpp"
#include "pixel_formats.hpp"

namespace {

std::mt19937 generator;

std::uint32_t draw(std::uint32_t least, std::uint32_t most) {
  return std::uniform_int_distribution<std::uint32_t>(least, most)(generator);
}

bool once_in(std::uint32_t times) { return draw(1, times) == 1; }

// Also what no C++ program could write: C callers can.
template <typename Enumeration>
void set_number(Enumeration& field, std::uint32_t number) {
  static_assert(sizeof field == sizeof number);
  std::memcpy(&field, &number, sizeof number);
}

struct Planes {
  int count;
  std::size_t row_bytes[3];
  std::size_t rows[3];
};

Planes find_planes(int format, std::size_t width, std::size_t height) {
  const std::size_t pairs = (width + 1) / 2;
  const std::size_t half = (height + 1) / 2;
  switch (format) {
    case MACLIP_FORMAT_RGB:
    case MACLIP_FORMAT_BGR:
      return {1, {3 * width, 0, 0}, {height, 0, 0}};
    case MACLIP_FORMAT_GRAY:
      return {1, {width, 0, 0}, {height, 0, 0}};
    case MACLIP_FORMAT_NV12:
      return {2, {width, 2 * pairs, 0}, {height, half, 0}};
    case MACLIP_FORMAT_I420:
      return {3, {width, pairs, pairs}, {height, half, half}};
    case MACLIP_FORMAT_YUYV:
      return {1, {4 * pairs, 0, 0}, {height, 0, 0}};
    default:
      return {1, {4 * width, 0, 0}, {height, 0, 0}};
  }
}

struct DrawnFrame {
  maclip_frame frame{};
  maclip_status expected = MACLIP_OK;
  std::unique_ptr<std::uint8_t[]> memory[3];
};

DrawnFrame draw_frame() {
  DrawnFrame drawn;
  maclip_frame& frame = drawn.frame;
  frame.size = sizeof frame;
  const int format = static_cast<int>(draw(MACLIP_FORMAT_RGB, MACLIP_FORMAT_BGRX));
  frame.format = static_cast<maclip_pixel_format>(format);
  // Mostly small; sometimes thin and long, where enlarging and windows are at their limits.
  frame.width = once_in(8) ? draw(1, 3) : draw(1, 700);
  frame.height = once_in(8) ? draw(1, 3) : draw(1, 500);
  frame.matrix = static_cast<maclip_matrix>(draw(0, 3));
  frame.range = static_cast<maclip_range>(draw(0, 2));
  const Planes planes = find_planes(format, frame.width, frame.height);
  for (int plane = 0; plane < planes.count; ++plane) {
    frame.strides[plane] = planes.row_bytes[plane] + (once_in(2) ? draw(0, 40) : 0);
    const std::size_t size = frame.strides[plane] * (planes.rows[plane] - 1) + planes.row_bytes[plane];
    drawn.memory[plane] = std::make_unique<std::uint8_t[]>(size);
    const std::uint32_t start = draw(0, 255);
    const std::uint32_t step = draw(0, 13);
    for (std::size_t place = 0; place < size; ++place) {
      drawn.memory[plane][place] = static_cast<std::uint8_t>(start + place * step + place / 97);
    }
    frame.planes[plane] = drawn.memory[plane].get();
  }
  if (!once_in(4)) return drawn;
  const auto plane = draw(0, static_cast<std::uint32_t>(planes.count - 1));
  switch (draw(1, 8)) {
    case 1:
      frame.planes[plane] = nullptr;
      drawn.expected = MACLIP_ERROR_ARGUMENT;
      break;
    case 2:
      frame.strides[plane] = draw(0, static_cast<std::uint32_t>(planes.row_bytes[plane] - 1));
      drawn.expected = MACLIP_ERROR_ARGUMENT;
      break;
    case 3:
      set_number(frame.format, once_in(2) ? 0 : draw(11, 1000));
      drawn.expected = MACLIP_ERROR_ARGUMENT;
      break;
    case 4:
      set_number(frame.matrix, draw(4, 0xFFFFFFFFu));
      drawn.expected = MACLIP_ERROR_ARGUMENT;
      break;
    case 5:
      set_number(frame.range, draw(3, 0xFFFFFFFFu));
      drawn.expected = MACLIP_ERROR_ARGUMENT;
      break;
    case 6:
      (once_in(2) ? frame.width : frame.height) = 0;
      drawn.expected = MACLIP_ERROR_FRAME;
      break;
    case 7:
      frame.height = draw(0x80000000u, 0xFFFFFFFFu);
      drawn.expected = MACLIP_ERROR_FRAME;
      break;
    default:
      // No row follows the last one, so that it does not matter how far away it would be.
      if (planes.rows[plane] == 1) frame.strides[plane] = SIZE_MAX - draw(0, 40);
      break;
  }
  return drawn;
}

maclip_status convert(const maclip_frame& frame, std::vector<std::uint8_t>& storage) {
  try {
    const maclip::RgbView view = maclip::convert_to_rgb(frame, storage);
    return view.width == static_cast<int>(frame.width) && view.height == static_cast<int>(frame.height)
               ? MACLIP_OK
               : MACLIP_ERROR_INTERNAL;
  } catch (const maclip::Error& error) {
    return error.status();
  }
}

[[noreturn]] void fail(const DrawnFrame& drawn, long number, maclip_status found, const char* where) {
  const maclip_frame& frame = drawn.frame;
  std::fprintf(stderr, "frame %ld, %s: status %d, expected %d; %u x %u, strides %zu %zu %zu\n", number, where, found,
               drawn.expected, frame.width, frame.height, frame.strides[0], frame.strides[1], frame.strides[2]);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: fuzz_frames BUNDLE COUNT [SEED]\n"), 2;
  const long count = std::atol(argv[2]);
  generator.seed(argc > 3 ? static_cast<unsigned>(std::atol(argv[3])) : 1u);
  maclip_error error{sizeof error, MACLIP_OK, ""};
  maclip_scorer* scorer = nullptr;
  maclip_stream* stream = nullptr;
  maclip_options one_thread{};
  one_thread.size = sizeof one_thread;
  one_thread.threads = 1;
  maclip_stream_options one_view{};
  one_view.size = sizeof one_view;
  one_view.views_per_frame = 1;
  if (maclip_open(argv[1], &one_thread, &scorer, &error) != MACLIP_OK ||
      maclip_stream_open(scorer, &one_view, &stream, &error) != MACLIP_OK) {
    return std::fprintf(stderr, "%s\n", error.message), 2;
  }
  std::vector<std::uint8_t> storage;
  long refused = 0;
  long scored = 0;
  for (long number = 0; number < count; ++number) {
    const DrawnFrame drawn = draw_frame();
    const maclip_status converted = convert(drawn.frame, storage);
    if (converted != drawn.expected) fail(drawn, number, converted, "conversion");
    refused += converted != MACLIP_OK;
    if (number % 40 != 0 && converted == MACLIP_OK) continue;
    maclip_result result{};
    result.size = sizeof result;
    maclip_reading reading{};
    reading.size = sizeof reading;
    const double time = static_cast<double>(number);
    const maclip_status pushed = maclip_stream_push(stream, &drawn.frame, time, &result, &reading, &error);
    // A picture that is too narrow to be enlarged is refused, as in Python.
    if (pushed == MACLIP_ERROR_FRAME && std::string(error.message).find("too narrow") != std::string::npos) continue;
    if (pushed != drawn.expected) fail(drawn, number, pushed, error.message);
    if (pushed != MACLIP_OK) continue;
    ++scored;
    const bool sound = std::isfinite(result.score) && reading.fresh >= 0 && reading.fresh <= 1 &&
                       reading.refreshed >= 1 && std::isfinite(reading.detail);
    if (!sound) fail(drawn, number, MACLIP_ERROR_INTERNAL, "its reading is no number");
  }
  maclip_stream_close(stream);
  maclip_close(scorer);
  std::printf("%ld frames: %ld refused as they must be, %ld of the others scored\n", count, refused, scored);
  return refused > 0 && scored > 0 ? 0 : 1;
}
