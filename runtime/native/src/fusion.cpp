#include "fusion.hpp"

#include <cmath>

namespace maclip {

float weigh_similarity(float similarity, float magnitude, const Head& head) {
  const double d = static_cast<double>(similarity) - static_cast<double>(magnitude);
  const double margin = head.magnitude_base - head.similarity_base - 2 * head.alpha * d;
  const double small = std::exp(-std::abs(margin));  // never overflows
  return static_cast<float>((margin > 0 ? small : 1.0) / (1.0 + small));
}

float fuse_cues(float similarity, float magnitude, float weight) {
  return weight * similarity + (1.0F - weight) * magnitude;
}

}  // namespace maclip
