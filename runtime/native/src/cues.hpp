// What the head says of each view of a frame.
#pragma once

#include <cstddef>
#include <vector>

namespace maclip {

// Float32, in view order, the global view last: [V] each, attributes [V, K].
struct Cues {
  std::vector<float> score, similarity, magnitude, weight;  // weight: the similarity cue's
  std::vector<float> attributes;

  std::size_t views() const { return score.size(); }

  // Keeps its memory when there are fewer.
  void resize(std::size_t views, std::size_t pairs) {
    for (auto* values : {&score, &similarity, &magnitude, &weight}) values->resize(views);
    attributes.resize(views * pairs);
  }
};

}  // namespace maclip
