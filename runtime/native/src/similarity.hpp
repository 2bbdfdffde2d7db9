// Similarity cue (section 3 of the method): the direction of the features, by good and bad prompts; the twin of
// method/similarity.py.
#pragma once

#include <cstddef>
#include <vector>

namespace maclip {

// The prompt embeddings [K, 2, D], unit length, (good, bad) per pair; which pairs count for the cue; and the factor
// on the cosine, exp(logit_scale).
struct Prompts {
  std::vector<float> embeddings;
  std::vector<bool> scored;
  std::size_t features = 0;
  float factor = 1;

  std::size_t pairs() const { return scored.size(); }
};

// Probability of the good prompt of each pair [K], in 0..1, for one view's features [D], unnormalised. The softmax is
// over the two prompts of a pair.
void measure_attributes(const float* features, const Prompts& prompts, float* attributes);

// The attributes of the scored pairs, averaged.
float measure_similarity(const float* attributes, const Prompts& prompts);

}  // namespace maclip
