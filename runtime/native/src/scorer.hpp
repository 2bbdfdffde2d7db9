// The scorer: frame in, score out; the twin of scorer.py. May be used from several threads: they take turns.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "cues.hpp"
#include "preparation.hpp"
#include "selection.hpp"
#include "similarity.hpp"

namespace maclip {

class Scorer {
 public:
  // Of an opened bundle and its prompts, with an engine.
  Scorer(const Bundle& bundle, Prompts prompts, Selection selection);

  const std::string& bundle_name() const { return bundle_name_; }
  const EngineIdentity& engine() const { return selection_.identity; }
  const Method& method() const { return method_; }
  const std::vector<std::string>& attribute_names() const { return names_; }
  std::size_t pairs() const { return names_.size(); }
  std::size_t features() const { return prompts_.features; }

  // Score a frame: every view of it.
  void score(const maclip_frame& frame, maclip_result& result);

  // The features of some of a frame's views, `views` x D of them, into `features`, which keeps its memory.
  void encode(const RgbView& frame, const std::vector<int>& views, std::vector<float>& features);

  // The cues of views from their features. EngineError if they are no finite numbers.
  void score_views(const std::vector<float>& features, std::size_t views, Cues& cues) const;

 private:
  std::string bundle_name_;
  Method method_;
  std::vector<std::string> names_;
  Prompts prompts_;
  Selection selection_;
  std::mutex engine_mutex_;

  // What one frame needs, kept for the next.
  std::mutex frame_mutex_;
  Preparation preparation_;
  std::vector<int> all_views_;
  std::vector<float> features_;
  Cues cues_;
};

// The prompts of a bundle, as the head takes them.
Prompts load_prompts(const Bundle& bundle);

// The scorer of the bundle at `path`; see Bundle::open and select_engine.
std::shared_ptr<Scorer> open_scorer(const std::string& path, const std::string& trusted_keys,
                                    const EngineChoice& choice);

}  // namespace maclip
