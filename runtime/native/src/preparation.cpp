#include "preparation.hpp"

#include <algorithm>

#include "pixel_formats.hpp"

namespace maclip {

PreparedFrame Preparation::prepare(const maclip_frame& frame, int view_size) {
  const RgbView rgb = convert_to_rgb(frame, rgb_);
  PreparedFrame prepared{rgb, rgb.width, rgb.height, std::min(rgb.width, rgb.height) < view_size};
  if (prepared.enlarged) prepared.frame = enlargement_.enlarge(rgb, view_size);
  return prepared;
}

}  // namespace maclip
