// Turns of views: which views of a frame to encode, and what the others are taken to be.
//
// The twin of stream/turns.py, which explains the rules; docs/streams.md shows what comes of them. The same frames
// and counts give the same choices as in Python. Nothing is allocated after the first frame.
#pragma once

#include <cstdint>
#include <vector>

#include "change.hpp"
#include "geometry.hpp"
#include "rgb_view.hpp"

namespace maclip {

// The turns of one stream of frames of one size. Not thread-safe: a stream has one owner.
class Turns {
 public:
  // Frames have at least S pixels on each side.
  Turns(const ViewGeometry& geometry, int height, int width);

  int views() const { return views_; }

  // The part of the views, 0..1, that are not stale.
  double fresh() const;

  // Fine detail of the last frame in 8-bit steps, the mean over its views; 0 before the first.
  double detail() const;

  // The `count` views of the next frame to encode, 1 to `views()`, ascending, into `chosen`; whether a scene
  // begins with it. Every frame passes through here in its order; `settle` follows, or does not where the views
  // could not be encoded.
  bool choose(const RgbView& frame, int count, std::vector<int>& chosen);

  // Take in what the chosen views gave, `values` [chosen, columns], and say what all are, `all` [views, columns].
  // The frame's values are the means of its columns.
  void settle(const std::vector<int>& chosen, const float* values, int columns, float* all);

 private:
  bool mark_stale();
  void rank_views(int count);
  void learn(const std::vector<int>& chosen, const float* values);
  void fill_stale(float* all) const;
  float find_nearness(int view, int other) const;

  int views_;
  Grid grid_;
  int columns_ = 0;
  std::int64_t frame_ = 0;
  bool begun_ = false;
  Cells cells_;
  Thumbnails now_;                       // this frame's
  Thumbnails before_;                    // the last frame's
  Thumbnails then_;                      // each view's at its last refresh
  std::vector<int> order_;               // each view's place in an order that soon covers the frame
  std::vector<float> nearness_;          // of windows, by rows and columns between them
  std::vector<std::int64_t> refreshed_;  // the frame of each view's last refresh
  std::vector<std::uint8_t> stale_;
  std::vector<float> floor_;             // what noise alone moves a view from frame to frame
  std::vector<float> motion_;            // of late
  std::vector<float> values_;            // [V, C]: each view's at its last refresh
  std::vector<float> detail_by_value_;   // [C]: sums of the least squares
  double detail_squared_ = 0;
  // Scratch, kept so that a frame allocates nothing: of views, of columns, of a thumbnail's cells.
  std::vector<int> ranked_;
  std::vector<float> step_;
  std::vector<float> sorted_;
  std::vector<double> urgency_;
  std::vector<std::int64_t> waited_;
  std::vector<float> slope_;
  std::vector<float> cell_changes_;
};

}  // namespace maclip
