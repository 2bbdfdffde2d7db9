// Frames smaller than a view, enlarged until their shorter side is S; the twin of `_enlarge` in
// sources/preparation.py. It is out of the published method, and results say so.
#pragma once

#include <cstdint>
#include <vector>

#include "rgb_view.hpp"

namespace maclip {

struct FrameSize {
  int width = 0, height = 0;
};

// The size of a frame, enlarged if it is smaller than `short_side` on a side. FrameError where it is too narrow for that.
FrameSize enlarge_size(const FrameSize& size, int short_side);

class Enlargement {
 public:
  // The frame scaled up, aspect kept, by the bicubic resize of Pillow, to the last bit. It lies in this object's
  // memory, and is overwritten by the next one. FrameError as by enlarge_size.
  RgbView enlarge(const RgbView& frame, int short_side);

 private:
  // What one sample of a resized axis is made of: `count` weights from `first` on.
  struct Taps {
    int first, count;
    std::int32_t weights[5];
  };

  static void find_taps(int source, int target, std::vector<Taps>& taps);

  std::vector<Taps> columns_, rows_;
  std::vector<std::uint8_t> widened_, enlarged_;
};

}  // namespace maclip
