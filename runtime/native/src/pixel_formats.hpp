// Frames as cameras give them to RGB: the twin of sources/colour.py and sources/raw.py, to the last bit.
#pragma once

#include <cstdint>
#include <vector>

#include "maclip.h"
#include "rgb_view.hpp"

namespace maclip {

// Throws ArgumentError for a format, matrix, range, plane or stride that cannot be, FrameError for sizes of zero
// or more than 114 million pixels.
void check_frame(const maclip_frame& frame);

// The frame as RGB: a view of the caller's memory where it is RGB already, else of `storage`, which is enlarged
// when needed and never shrunk. Throws what `check_frame` does.
RgbView convert_to_rgb(const maclip_frame& frame, std::vector<std::uint8_t>& storage);

}  // namespace maclip
