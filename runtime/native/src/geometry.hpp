// Which views a frame has (section 1 of the method): the twin of method/geometry.py.
//
// Its windows are every S x S square at stride T, row by row from the top left; the last view is the global one,
// the whole frame. Rows and columns that do not fill a window at the right and bottom are not seen.
#pragma once

#include <array>

namespace maclip {

struct Grid {
  int rows = 0;
  int columns = 0;

  int windows() const { return rows * columns; }
};

struct ViewGeometry {
  int size = 224;    // S, pixels
  int stride = 128;  // T, pixels
  // CLIP's training statistics of RGB / 255 (Radford et al., 2021, released preprocessing).
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};

  // Of a frame of at least S x S pixels.
  Grid grid(int height, int width) const {
    return {1 + (height - size) / stride, 1 + (width - size) / stride};
  }

  // Number of views V: the windows and the global view.
  int count(int height, int width) const { return grid(height, width).windows() + 1; }
};

}  // namespace maclip
