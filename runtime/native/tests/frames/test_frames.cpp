// Camera formats and turns of views: what can only be seen from C++. That their results are Python's is tested in
// tests/native.
#include <cstdlib>
#include <new>
#include <vector>

#include "../expect.hpp"
#include "pixel_formats.hpp"
#include "turns.hpp"

namespace {

std::size_t allocations = 0;
void an_rgb_frame_stays_where_it_is() {
  std::vector<std::uint8_t> pixels(4 * 16);
  std::vector<std::uint8_t> storage;
  maclip_frame frame{};
  frame.size = sizeof frame;
  frame.format = MACLIP_FORMAT_RGB;
  frame.width = 5;
  frame.height = 4;
  frame.planes[0] = pixels.data();
  frame.strides[0] = 16;
  const maclip::RgbView view = maclip::convert_to_rgb(frame, storage);
  EXPECT(view.pixels == pixels.data() && view.stride == 16);
  EXPECT(view.width == 5 && view.height == 4);
  EXPECT(storage.empty());
}

void a_second_frame_of_a_size_allocates_nothing() {
  const std::uint32_t width = 321;
  const std::uint32_t height = 243;
  std::vector<std::uint8_t> planes(4 * (width + 1) * (height + 1), 100);
  std::vector<std::uint8_t> storage;
  for (int format = MACLIP_FORMAT_RGB; format <= MACLIP_FORMAT_BGRX; ++format) {
    maclip_frame frame{};
    frame.size = sizeof frame;
    frame.format = static_cast<maclip_pixel_format>(format);
    frame.width = width;
    frame.height = height;
    for (int plane = 0; plane < 3; ++plane) {
      frame.planes[plane] = planes.data();
      frame.strides[plane] = 4 * (width + 1);
    }
    maclip::convert_to_rgb(frame, storage);
    frame.range = MACLIP_RANGE_FULL;
    frame.matrix = MACLIP_MATRIX_BT709;
    const std::size_t before = allocations;
    maclip::convert_to_rgb(frame, storage);
    frame.width -= 100;
    maclip::convert_to_rgb(frame, storage);
    EXPECT(allocations == before);
  }
}

void turns_allocate_nothing_after_the_first_frame() {
  constexpr int width = 740;
  constexpr int height = 490;
  constexpr int columns = 9;
  std::vector<std::uint8_t> pixels(3 * width * height);
  maclip::Turns turns(maclip::ViewGeometry{}, height, width);
  std::vector<int> chosen;
  std::vector<float> all(static_cast<std::size_t>(turns.views() * columns));
  const std::vector<float> values(all.size(), 0.5f);
  std::size_t before = 0;
  for (unsigned frame = 0; frame < 30; ++frame) {
    for (std::size_t place = 0; place < pixels.size(); ++place) {
      pixels[place] = static_cast<std::uint8_t>(place * 31 % 251 + (frame > 20 ? frame * place : frame));
    }
    turns.choose({pixels.data(), 3 * width, width, height}, 3, chosen);
    turns.settle(chosen, values.data(), columns, all.data());
    if (frame == 0) before = allocations;
  }
  EXPECT(allocations == before);
  EXPECT(turns.fresh() < 1);
  for (const float value : all) EXPECT(value > 0.49f && value < 0.51f);
}

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main() {
  an_rgb_frame_stays_where_it_is();
  a_second_frame_of_a_size_allocates_nothing();
  turns_allocate_nothing_after_the_first_frame();
  return 0;
}
