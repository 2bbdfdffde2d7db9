// The head of MA-CLIP: from image features to quality (sections 3 to 6 of the method); the twin of method/head.py. Pure
// functions; nothing here keeps state or knows which engine made the features.
#pragma once

#include <cstddef>

#include "cues.hpp"
#include "method.hpp"
#include "similarity.hpp"

namespace maclip {

// Every cue of every view and their fusion, from features [V, D], unnormalised.
void score_views(const float* features, std::size_t views, const Prompts& prompts, const Head& head, Cues& cues);

// Whether every number is one: features may be finite and still be beyond the method's arithmetic.
bool are_finite(const Cues& cues);

// The mean over the views: the frame's value (section 6).
float take_mean(const float* values, std::size_t count, std::size_t step = 1);

}  // namespace maclip
