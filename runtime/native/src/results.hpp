// Results as the caller's structs have them.
#pragma once

#include <cstddef>

#include "cues.hpp"
#include "maclip.h"
#include "preparation.hpp"

namespace maclip {

// ArgumentError unless every array of the caller's has room for what will be put there.
void check_room(const maclip_result& result, std::size_t views, std::size_t pairs);

// The means over the views, and what arrays were given.
void fill_result(const PreparedFrame& prepared, const Cues& cues, std::size_t pairs, maclip_result& result);

}  // namespace maclip
