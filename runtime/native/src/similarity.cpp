#include "similarity.hpp"

#include <algorithm>
#include <cmath>

namespace maclip {
namespace {

constexpr float kNormFloor = 1e-12F;  // keeps the direction of an all-zero feature defined

double multiply(const float* one, const float* other, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(one[i]) * static_cast<double>(other[i]);
  return sum;
}

}  // namespace

void measure_attributes(const float* features, const Prompts& prompts, float* attributes) {
  const std::size_t count = prompts.features;
  // A length beyond float32 has to be infinite here, too: that is no score in either runtime.
  const auto length = static_cast<float>(std::sqrt(multiply(features, features, count)));
  const double norm = std::max(length, kNormFloor);
  const float* good = prompts.embeddings.data();
  for (std::size_t pair = 0; pair < prompts.pairs(); ++pair, good += 2 * count) {
    const float* bad = good + count;
    const double cosines = (multiply(features, bad, count) - multiply(features, good, count)) / norm;
    const float margin = prompts.factor * static_cast<float>(cosines);
    // A softmax over two logits is the logistic of their difference; exp never sees a large positive number, so the
    // extremes go to 0 and 1 without overflow.
    const float small = std::exp(-std::abs(margin));
    attributes[pair] = (margin > 0 ? small : 1.0F) / (1.0F + small);
  }
}

float measure_similarity(const float* attributes, const Prompts& prompts) {
  double sum = 0;
  int count = 0;
  for (std::size_t pair = 0; pair < prompts.pairs(); ++pair)
    if (prompts.scored[pair]) {
      sum += static_cast<double>(attributes[pair]);
      ++count;
    }
  return static_cast<float>(sum / count);
}

}  // namespace maclip
