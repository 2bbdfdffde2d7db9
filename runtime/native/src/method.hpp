// The constants of the method, as a manifest has them; the twin of the dataclasses in method/.
#pragma once

#include "geometry.hpp"

namespace maclip {

struct Head {
  double alpha = 1.0;
  double similarity_base = 1.0;  // logits of the cues in the fusion
  double magnitude_base = 0.6;
  double boxcox_lambda = 0.5;
};

struct Method {
  ViewGeometry views;
  double logit_scale = 0;  // as CLIP stores it, the logarithm of the factor on the cosine
  Head head;
};

}  // namespace maclip
