// Pixels: from RGB bytes to CLIP's scale (section 2 of the method), and the global view's resize; the twin of
// method/pixels.py. Planes are float32 [3, h, w].
#pragma once

#include <array>

#include "geometry.hpp"
#include "rgb_view.hpp"

namespace maclip {

class PixelScale {
 public:
  explicit PixelScale(const ViewGeometry& geometry);

  // A rectangle of a frame as planes.
  void normalise(const RgbView& frame, int top, int left, int height, int width, float* planes) const;

  // The global view [3, S, S]: the whole frame, bilinear on normalised pixels, no antialiasing. Only the pixels under
  // the taps are read.
  void resize_to_view(const RgbView& frame, float* planes) const;

 private:
  int size_;
  std::array<std::array<float, 256>, 3> scaled_;  // (value / 255 - mean) / std of every value
};

}  // namespace maclip
