// What a scorer asks of an engine: frame in, features out; the twin of engines/engine.py.
//
// How an engine cuts views, and in what portions it runs them, is its own business; which graph it runs was decided
// before (selection.hpp). A new one is a file here and a line there.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rgb_view.hpp"

namespace maclip {

// As results refer to an engine.
struct EngineIdentity {
  std::string name, precision, view_mode;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // The features [views, D], unnormalised, of a frame of at least S x S pixels. `views`: the indices of those wanted, in
  // the order wanted, the last one (V - 1) being the global view. One frame at a time: the caller sees to that.
  virtual void encode(const RgbView& frame, const std::vector<int>& views, float* features) = 0;
};

}  // namespace maclip
