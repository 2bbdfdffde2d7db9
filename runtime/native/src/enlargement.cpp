#include "enlargement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "errors.hpp"

namespace maclip {
namespace {

constexpr std::int64_t kMostPixels = 40'000'000;  // resized; as sources/preparation.py bounds it
constexpr int kMostColumns = 2'000'000;
constexpr int kWeightBits = 22;  // Pillow's fixed point for pixels of eight bits

// Keys' cubic convolution with a = -0.5, which Pillow calls bicubic.
double weigh(double distance) {
  constexpr double a = -0.5;
  const double x = std::abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

std::uint8_t round_to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);

}  // namespace

FrameSize enlarge_size(const FrameSize& size, int short_side) {
  const auto [width, height] = size;
  if (std::min(width, height) >= short_side) return size;
  const double factor = static_cast<double>(short_side) / std::min(height, width);
  // nearbyint rounds halves to even, as Python does.
  const auto scale = [&](int side) {
    return static_cast<std::int64_t>(std::max<double>(short_side, std::nearbyint(side * factor)));
  };
  const std::int64_t new_width = scale(width), new_height = scale(height);
  if (std::max<std::int64_t>(height, new_height) * new_width > kMostPixels || width > kMostColumns)
    throw FrameError(std::to_string(width) + " x " + std::to_string(height) + " is too narrow: resized to " +
                         std::to_string(new_width) + " x " + std::to_string(new_height) +
                         ", it would take more memory than a picture may",
                     "crop it first");
  return {static_cast<int>(new_width), static_cast<int>(new_height)};
}

void Enlargement::find_taps(int source, int target, std::vector<Taps>& taps) {
  taps.resize(static_cast<std::size_t>(target));
  const double scale = static_cast<double>(source) / target;
  for (int place = 0; place < target; ++place) {
    Taps& tap = taps[static_cast<std::size_t>(place)];
    const double centre = (place + 0.5) * scale;
    tap.first = std::max(static_cast<int>(centre - 2 + 0.5), 0);
    tap.count = std::min(static_cast<int>(centre + 2 + 0.5), source) - tap.first;
    std::array<double, 5> weights{};
    double sum = 0;
    for (int i = 0; i < tap.count; ++i) {
      weights[static_cast<std::size_t>(i)] = weigh(tap.first + i - centre + 0.5);
      sum += weights[static_cast<std::size_t>(i)];
    }
    for (int i = 0; i < tap.count; ++i) {
      const double weight = weights[static_cast<std::size_t>(i)] / sum;
      tap.weights[i] = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kWeightBits));
    }
  }
}

RgbView Enlargement::enlarge(const RgbView& frame, int short_side) {
  const auto [new_width, new_height] = enlarge_size({frame.width, frame.height}, short_side);
  const std::size_t row_bytes = 3 * static_cast<std::size_t>(new_width);
  find_taps(frame.width, new_width, columns_);
  find_taps(frame.height, new_height, rows_);

  // The columns of every row first, then the rows, each rounded to bytes.
  widened_.resize(row_bytes * static_cast<std::size_t>(frame.height));
  for (int y = 0; y < frame.height; ++y) {
    const std::uint8_t* source = frame.row(y);
    std::uint8_t* out = widened_.data() + row_bytes * static_cast<std::size_t>(y);
    if (new_width == frame.width) {
      std::copy_n(source, row_bytes, out);
      continue;
    }
    for (const Taps& tap : columns_)
      for (int channel = 0; channel < 3; ++channel) {
        std::int32_t sum = kHalf;
        for (int i = 0; i < tap.count; ++i) sum += source[3 * (tap.first + i) + channel] * tap.weights[i];
        *out++ = round_to_byte(sum);
      }
  }
  const RgbView widened{widened_.data(), row_bytes, new_width, frame.height};
  if (new_height == frame.height) return widened;
  enlarged_.resize(row_bytes * static_cast<std::size_t>(new_height));
  std::uint8_t* out = enlarged_.data();
  for (const Taps& tap : rows_)
    for (std::size_t place = 0; place < row_bytes; ++place) {
      std::int32_t sum = kHalf;
      for (int i = 0; i < tap.count; ++i) sum += widened.row(tap.first + i)[place] * tap.weights[i];
      *out++ = round_to_byte(sum);
    }
  return {enlarged_.data(), row_bytes, new_width, new_height};
}

}  // namespace maclip
