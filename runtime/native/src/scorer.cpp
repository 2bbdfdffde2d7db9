#include "scorer.hpp"

#include <cmath>
#include <numeric>

#include "errors.hpp"
#include "head.hpp"
#include "results.hpp"

namespace maclip {

Prompts load_prompts(const Bundle& bundle) {
  const Manifest& manifest = bundle.manifest();
  Prompts prompts;
  prompts.embeddings = bundle.load_prompts();
  for (const auto& pair : manifest.prompts) prompts.scored.push_back(pair.scored);
  prompts.features = static_cast<std::size_t>(manifest.features);
  prompts.factor = static_cast<float>(std::exp(manifest.method.logit_scale));
  return prompts;
}

std::shared_ptr<Scorer> open_scorer(const std::string& path, const std::string& trusted_keys,
                                    const EngineChoice& choice) {
  const Bundle bundle = Bundle::open(path, trusted_keys);
  Prompts prompts = load_prompts(bundle);
  return std::make_shared<Scorer>(bundle, std::move(prompts), select_engine(bundle, choice));
}

Scorer::Scorer(const Bundle& bundle, Prompts prompts, Selection selection)
    : bundle_name_(bundle.name()),
      method_(bundle.manifest().method),
      prompts_(std::move(prompts)),
      selection_(std::move(selection)) {
  for (const auto& pair : bundle.manifest().prompts) names_.push_back(pair.name);
}

void Scorer::score(const maclip_frame& frame, maclip_result& result) {
  const std::lock_guard lock(frame_mutex_);
  const PreparedFrame prepared = preparation_.prepare(frame, method_.views.size);
  const int views = method_.views.count(prepared.frame.height, prepared.frame.width);
  check_room(result, static_cast<std::size_t>(views), pairs());
  all_views_.resize(static_cast<std::size_t>(views));
  std::iota(all_views_.begin(), all_views_.end(), 0);
  encode(prepared.frame, all_views_, features_);
  score_views(features_, all_views_.size(), cues_);
  fill_result(prepared, cues_, pairs(), result);
}

void Scorer::encode(const RgbView& frame, const std::vector<int>& views, std::vector<float>& features) {
  features.resize(views.size() * prompts_.features);
  const std::lock_guard lock(engine_mutex_);
  selection_.engine->encode(frame, views, features.data());
}

void Scorer::score_views(const std::vector<float>& features, std::size_t views, Cues& cues) const {
  maclip::score_views(features.data(), views, prompts_, method_.head, cues);
  if (!are_finite(cues))
    throw EngineError(selection_.graph + ": its features give a score that is no finite number",
                      "export the bundle again");
}

}  // namespace maclip
