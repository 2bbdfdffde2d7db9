// Frames brought to what the method takes: RGB, and at least S x S pixels; the twin of sources/preparation.py.
#pragma once

#include <cstdint>
#include <vector>

#include "enlargement.hpp"
#include "maclip.h"
#include "rgb_view.hpp"

namespace maclip {

struct PreparedFrame {
  RgbView frame;
  int width = 0, height = 0;  // of the frame that came
  bool enlarged = false;
};

class Preparation {
 public:
  // What is returned lies in the caller's memory or in this object's, until the next one.
  PreparedFrame prepare(const maclip_frame& frame, int view_size);

 private:
  std::vector<std::uint8_t> rgb_;
  Enlargement enlargement_;
};

}  // namespace maclip
