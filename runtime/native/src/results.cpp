#include "results.hpp"

#include <algorithm>
#include <string>

#include "errors.hpp"
#include "head.hpp"

namespace maclip {

void check_room(const maclip_result& result, std::size_t views, std::size_t pairs) {
  if (result.attributes != nullptr && result.attributes_capacity < pairs)
    throw ArgumentError("attributes has room for " + std::to_string(result.attributes_capacity) + ", and there are " +
                            std::to_string(pairs),
                        "maclip_describe says how many");
  const bool has_views = result.view_score != nullptr || result.view_similarity != nullptr ||
                         result.view_magnitude != nullptr || result.view_weight != nullptr ||
                         result.view_attributes != nullptr;
  if (has_views && result.views_capacity < views)
    throw ArgumentError("the views' arrays have room for " + std::to_string(result.views_capacity) +
                            ", and this frame has " + std::to_string(views),
                        "maclip_count_views says how many");
}

void fill_result(const PreparedFrame& prepared, const Cues& cues, std::size_t pairs, maclip_result& result) {
  const std::size_t views = cues.views();
  result.score = take_mean(cues.score.data(), views);
  result.similarity = take_mean(cues.similarity.data(), views);
  result.magnitude = take_mean(cues.magnitude.data(), views);
  result.weight = take_mean(cues.weight.data(), views);
  result.views = static_cast<std::uint32_t>(views);
  result.width = static_cast<std::uint32_t>(prepared.width);
  result.height = static_cast<std::uint32_t>(prepared.height);
  result.enlarged = prepared.enlarged ? 1 : 0;
  if (result.attributes != nullptr)
    for (std::size_t pair = 0; pair < pairs; ++pair)
      result.attributes[pair] = take_mean(cues.attributes.data() + pair, views, pairs);
  const auto copy = [](const std::vector<float>& from, float* to) {
    if (to != nullptr) std::copy(from.begin(), from.end(), to);
  };
  copy(cues.score, result.view_score);
  copy(cues.similarity, result.view_similarity);
  copy(cues.magnitude, result.view_magnitude);
  copy(cues.weight, result.view_weight);
  copy(cues.attributes, result.view_attributes);
}

}  // namespace maclip
