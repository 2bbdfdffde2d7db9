#include "head.hpp"

#include <algorithm>
#include <cmath>

#include "fusion.hpp"
#include "magnitude.hpp"

namespace maclip {

void score_views(const float* features, std::size_t views, const Prompts& prompts, const Head& head, Cues& cues) {
  cues.resize(views, prompts.pairs());
  for (std::size_t view = 0; view < views; ++view, features += prompts.features) {
    float* attributes = cues.attributes.data() + view * prompts.pairs();
    measure_attributes(features, prompts, attributes);
    const float similarity = measure_similarity(attributes, prompts);
    const float magnitude = measure_magnitude(features, prompts.features, head.boxcox_lambda);
    const float weight = weigh_similarity(similarity, magnitude, head);
    cues.similarity[view] = similarity;
    cues.magnitude[view] = magnitude;
    cues.weight[view] = weight;
    cues.score[view] = fuse_cues(similarity, magnitude, weight);
  }
}

bool are_finite(const Cues& cues) {
  const auto all_finite = [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  return all_finite(cues.score) && all_finite(cues.similarity) && all_finite(cues.magnitude) &&
         all_finite(cues.weight) && all_finite(cues.attributes);
}

float take_mean(const float* values, std::size_t count, std::size_t step) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(values[i * step]);
  return static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace maclip
