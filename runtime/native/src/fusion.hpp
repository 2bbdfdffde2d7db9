// Fusion of the two cues by confidence (section 5 of the method); the twin of method/fusion.py.
#pragma once

#include "method.hpp"

namespace maclip {

// The weight of the similarity cue in a view; the magnitude cue has the rest. With d = similarity - magnitude the
// weights are the softmax of `(similarity_base + alpha * d, magnitude_base - alpha * d)`.
float weigh_similarity(float similarity, float magnitude, const Head& head);

// The score of a view: its cues, weighted; a convex combination.
float fuse_cues(float similarity, float magnitude, float weight);

}  // namespace maclip
