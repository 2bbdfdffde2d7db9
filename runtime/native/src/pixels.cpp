#include "pixels.hpp"

#include <algorithm>

namespace maclip {
namespace {

constexpr int kLargestView = 1024;  // what a manifest may have

// Where a sample of a resized axis comes from: lower and upper index, and the upper one's weight.
struct Tap {
  int lower, upper;
  float weight;
};

// Half-pixel centres, computed in float32 as PyTorch's `interpolate` does, so that the taps of large frames
// agree with its to the last bit.
Tap find_tap(int place, int source, int target) {
  const float scale = static_cast<float>(source) / static_cast<float>(target);
  const float centre = std::max((static_cast<float>(place) + 0.5F) * scale - 0.5F, 0.0F);
  const int lower = static_cast<int>(centre);
  return {lower, std::min(lower + 1, source - 1), centre - static_cast<float>(lower)};
}

float blend(float near, float far, float weight) { return near * (1.0F - weight) + far * weight; }

}  // namespace

PixelScale::PixelScale(const ViewGeometry& geometry) : size_(geometry.size) {
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::size_t value = 0; value < 256; ++value) {
      float scaled = static_cast<float>(value) / 255.0F;
      scaled -= static_cast<float>(geometry.mean[channel]);
      scaled_[channel][value] = scaled / static_cast<float>(geometry.std[channel]);
    }
}

void PixelScale::normalise(const RgbView& frame, int top, int left, int height, int width, float* planes) const {
  const std::size_t plane = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  float* red = planes;
  float* green = planes + plane;
  float* blue = planes + 2 * plane;
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* pixel = frame.row(top + y) + 3 * static_cast<std::size_t>(left);
    for (int x = 0; x < width; ++x, pixel += 3) {
      *red++ = scaled_[0][pixel[0]];
      *green++ = scaled_[1][pixel[1]];
      *blue++ = scaled_[2][pixel[2]];
    }
  }
}

void PixelScale::resize_to_view(const RgbView& frame, float* planes) const {
  std::array<Tap, kLargestView> columns;
  for (int x = 0; x < size_; ++x) columns[static_cast<std::size_t>(x)] = find_tap(x, frame.width, size_);
  const std::size_t plane = static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_);
  for (int y = 0; y < size_; ++y) {
    const Tap row = find_tap(y, frame.height, size_);
    const std::uint8_t* upper = frame.row(row.lower);
    const std::uint8_t* lower = frame.row(row.upper);
    for (int x = 0; x < size_; ++x) {
      const Tap& column = columns[static_cast<std::size_t>(x)];
      const std::size_t near = 3 * static_cast<std::size_t>(column.lower);
      const std::size_t far = 3 * static_cast<std::size_t>(column.upper);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const auto& scaled = scaled_[channel];
        const float above = blend(scaled[upper[near + channel]], scaled[upper[far + channel]], column.weight);
        const float below = blend(scaled[lower[near + channel]], scaled[lower[far + channel]], column.weight);
        planes[channel * plane] = blend(above, below, row.weight);
      }
      ++planes;
    }
  }
}

}  // namespace maclip
