// Camera formats and turns of views as C functions, for tests that hold them against their twins in Python.
#include <algorithm>
#include <cstring>
#include <vector>

#include "errors.hpp"
#include "pixel_formats.hpp"
#include "turns.hpp"

#define TWIN extern "C" __attribute__((visibility("default")))

TWIN int twin_convert(const maclip_frame* frame, std::uint8_t* rgb, char* message, std::size_t capacity) {
  try {
    std::vector<std::uint8_t> storage;
    const maclip::RgbView view = maclip::convert_to_rgb(*frame, storage);
    const std::size_t row_bytes = 3 * static_cast<std::size_t>(view.width);
    for (int y = 0; y < view.height; ++y, rgb += row_bytes) std::copy_n(view.row(y), row_bytes, rgb);
    return MACLIP_OK;
  } catch (const maclip::Error& error) {
    std::strncpy(message, error.what(), capacity - 1);
    return error.status();
  }
}

namespace {

struct PlayedTurns {
  maclip::Turns turns;
  std::vector<int> chosen;
};

}  // namespace

TWIN PlayedTurns* twin_turns_open(int size, int stride, int height, int width) {
  maclip::ViewGeometry geometry;
  geometry.size = size;
  geometry.stride = stride;
  return new PlayedTurns{maclip::Turns(geometry, height, width), {}};
}

TWIN void twin_turns_close(PlayedTurns* played) { delete played; }

TWIN int twin_turns_views(const PlayedTurns* played) { return played->turns.views(); }

// How many views were chosen; they are written to `chosen`.
TWIN int twin_turns_choose(PlayedTurns* played, const std::uint8_t* rgb, std::size_t row_bytes, int width, int height,
                           int count, int* chosen, int* scene) {
  *scene = played->turns.choose({rgb, row_bytes, width, height}, count, played->chosen);
  std::copy(played->chosen.begin(), played->chosen.end(), chosen);
  return static_cast<int>(played->chosen.size());
}

TWIN void twin_turns_settle(PlayedTurns* played, const float* values, int columns, float* all) {
  played->turns.settle(played->chosen, values, columns, all);
}

TWIN double twin_turns_fresh(const PlayedTurns* played) { return played->turns.fresh(); }

TWIN double twin_turns_detail(const PlayedTurns* played) { return played->turns.detail(); }
