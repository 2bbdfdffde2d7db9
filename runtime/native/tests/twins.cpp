// Parts of the library as C functions, which tests hold against the Python modules that they are twins of.
#include <algorithm>
#include <cstdint>

#include "enlargement.hpp"
#include "head.hpp"
#include "view_budget.hpp"

#define TWIN extern "C" __attribute__((visibility("default")))

// Columns of `cues`: score, similarity, magnitude, weight, and the attributes of each view.
TWIN void twin_score_views(const float* features, std::size_t views, std::size_t dim, const float* prompts,
                           const std::uint8_t* scored, std::size_t pairs, float factor, const double* constants,
                           float* out) {
  maclip::Prompts given;
  given.embeddings.assign(prompts, prompts + pairs * 2 * dim);
  given.scored.assign(scored, scored + pairs);
  given.features = dim;
  given.factor = factor;
  maclip::Cues cues;
  maclip::score_views(features, views, given, {constants[0], constants[1], constants[2], constants[3]}, cues);
  for (std::size_t view = 0; view < views; ++view) {
    for (const auto* values : {&cues.score, &cues.similarity, &cues.magnitude, &cues.weight}) *out++ = (*values)[view];
    out = std::copy_n(cues.attributes.data() + view * pairs, pairs, out);
  }
}

// The size of the enlarged frame; its pixels where there is room for them.
TWIN void twin_enlarge(const std::uint8_t* pixels, int width, int height, int short_side, int* size,
                       std::uint8_t* out) {
  maclip::Enlargement enlargement;
  const maclip::FrameSize enlarged = maclip::enlarge_size({width, height}, short_side);
  size[0] = enlarged.width;
  size[1] = enlarged.height;
  if (out == nullptr) return;
  const std::size_t stride = 3 * static_cast<std::size_t>(width);
  const maclip::RgbView frame = enlargement.enlarge({pixels, stride, width, height}, short_side);
  for (int y = 0; y < frame.height; ++y) out = std::copy_n(frame.row(y), 3 * frame.width, out);
}

TWIN void twin_follow_budget(double seconds, const double* times, const double* costs, int frames, int views,
                             int* counts) {
  maclip::ViewBudget budget(seconds);
  for (int frame = 0; frame < frames; ++frame) {
    budget.record(times[frame], costs[frame], views);
    counts[frame] = budget.count();
  }
}
