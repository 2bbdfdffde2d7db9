// A frame as the method takes it: RGB, eight bits, somewhere in memory that is not ours.
#pragma once

#include <cstddef>
#include <cstdint>

namespace maclip {

struct RgbView {
  const std::uint8_t* pixels = nullptr;  // R, G, B of each pixel
  std::size_t stride = 0;                // bytes from row to row, at least 3 * width
  int width = 0;
  int height = 0;

  const std::uint8_t* row(int y) const { return pixels + static_cast<std::size_t>(y) * stride; }
};

}  // namespace maclip
