// How far the views of a frame have moved, measured on thumbnails: maclip_runtime/stream/change.py in C++.
//
// Turns are decided by these numbers, so they are Python's to the last bit: sums are added in NumPy's
// order, and nothing is contracted to a fused multiply-add (CMakeLists.txt says so to the compiler).
#pragma once

#include <cstddef>
#include <vector>

#include "geometry.hpp"
#include "rgb_view.hpp"

namespace maclip {

constexpr int cell_side = 16;  // pixels; divides the published size 224 and stride 128

// Brightness and fine detail of a frame's cells, each `rows x columns`, row by row.
struct Cells {
  int rows = 0;
  int columns = 0;
  std::vector<float> brightness;  // 0..255
  std::vector<float> detail;      // mean |difference| to the pixel on the right plus that to the one below
  std::vector<float> log_detail;  // log(1 + detail)

  Cells(int height, int width);

  // Measure a frame of the size given at construction.
  void measure(const RgbView& frame);
};

// A thumbnail of each view: n x n cells of brightness, then n x n of detail. The global view is the last.
class Thumbnails {
 public:
  // For a frame of at least S x S pixels.
  Thumbnails(const ViewGeometry& geometry, int height, int width);

  int views() const { return static_cast<int>(details_.size()); }
  int cells() const { return side_ * side_; }

  // Cut them all out of a frame's cells.
  void cut(const Cells& cells);

  // Take over one view's thumbnail from a set of the same shape.
  void copy_view(const Thumbnails& from, int view);

  // The view's detail: the mean logarithm, which falls with defocus.
  float mean_log_detail(int view) const { return details_[static_cast<std::size_t>(view)]; }

  // The mean of the detail over all views, in 8-bit steps.
  double mean_detail() const;

  const float* brightness(int view) const { return cells_.data() + offset(view); }
  const float* detail(int view) const { return brightness(view) + cells(); }

 private:
  std::size_t offset(int view) const {
    return static_cast<std::size_t>(view) * 2 * static_cast<std::size_t>(cells());
  }
  void cut_view(const Cells& cells, int view, const int* rows, const int* columns);

  int side_;                         // n; 14 with the published windows
  int view_stride_;                  // pixels
  Grid grid_;                        // of windows
  std::vector<float> cells_;         // [V, 2, n, n]
  std::vector<float> details_;       // [V]
  std::vector<int> global_rows_;     // the cells that the global view shows, [n]
  std::vector<int> global_columns_;
  std::vector<int> window_rows_;     // scratch: those of a window
  std::vector<int> window_columns_;
  std::vector<float> logs_;          // scratch: one view's
};

// How far a view has moved between two sets of thumbnails; about 0.02 is sensor noise, 0.1 a defocus that
// shows, 1 and more another picture. `scratch` holds `cells()` numbers.
float measure_change(const Thumbnails& before, const Thumbnails& after, int view, float* scratch);

// The sum in NumPy's order (pairwise, eight accumulators), to the last bit.
float add_pairwise(const float* values, std::size_t count);

}  // namespace maclip
