// Magnitude cue (section 4 of the method): the shape of |features|, through a Box-Cox transform; the twin of
// method/magnitude.py.
#pragma once

#include <cstddef>

namespace maclip {

// Box-Cox of |features| averaged over the channels [D]. The magnitudes are divided by their own standard deviation over
// the channels (unbiased), which makes the cue independent of the features' scale. The transform is
// `((m + 1)^lambda - 1) / lambda` and its limit `log(m + 1)` at lambda = 0.
float measure_magnitude(const float* features, std::size_t count, double boxcox_lambda);

}  // namespace maclip
