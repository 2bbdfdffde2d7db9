// After the first frames of a size the library allocates nothing. The engine is one of our own that does not either.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "expect.hpp"
#include "scorer.hpp"
#include "stream.hpp"

namespace {

std::atomic<long> allocations{0};

void* take(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return take(size); }
void* operator new[](std::size_t size) { return take(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// Features that follow the frame's first pixels and the view.
class PlainEngine : public maclip::Engine {
 public:
  explicit PlainEngine(std::size_t features) : features_(features) {}

  void encode(const maclip::RgbView& frame, const std::vector<int>& views, float* features) override {
    for (const int view : views)
      for (std::size_t i = 0; i < features_; ++i)
        *features++ = static_cast<float>(frame.pixels[(i * 7) % 600]) - static_cast<float>((view * 31 + static_cast<int>(i)) % 200);
  }

 private:
  std::size_t features_;
};

}  // namespace

int main() {
  const maclip::Bundle bundle = maclip::Bundle::open(need_variable("MACLIP_TEST_BUNDLE"), "");
  maclip::Selection selection{std::make_unique<PlainEngine>(static_cast<std::size_t>(bundle.manifest().features)),
                              {"plain", "fp32", "exact"},
                              "plain"};
  const auto scorer = std::make_shared<maclip::Scorer>(bundle, maclip::load_prompts(bundle), std::move(selection));
  std::vector<std::uint8_t> pixels(std::size_t{4} * 700 * 500, 90);
  std::vector<float> attributes(scorer->pairs()), scores(64);
  maclip_result result{};
  result.size = sizeof result;
  result.attributes = attributes.data();
  result.attributes_capacity = static_cast<std::uint32_t>(attributes.size());
  result.view_score = scores.data();
  result.views_capacity = 64;

  maclip_frame frame{};
  frame.size = sizeof frame;
  frame.planes[0] = frame.planes[1] = frame.planes[2] = pixels.data();
  const maclip_pixel_format formats[] = {MACLIP_FORMAT_RGB,  MACLIP_FORMAT_BGR,  MACLIP_FORMAT_BGRA, MACLIP_FORMAT_GRAY,
                                         MACLIP_FORMAT_NV12, MACLIP_FORMAT_I420, MACLIP_FORMAT_YUYV};
  const std::uint32_t sizes[][2] = {{700, 500}, {150, 101}};  // the second is enlarged
  for (const auto format : formats)
    for (const auto& [width, height] : sizes) {
      frame.format = format;
      frame.width = width;
      frame.height = height;
      frame.strides[0] = frame.strides[1] = frame.strides[2] = std::size_t{4} * width;
      maclip::Stream stream(scorer, 3, 0);
      maclip_reading reading{};
      reading.size = sizeof reading;
      for (int i = 0; i < 2; ++i) {
        scorer->score(frame, result);
        stream.push(frame, i, result, &reading);
      }
      const long before = allocations;
      for (int i = 2; i < 40; ++i) {
        pixels[static_cast<std::size_t>(i) * 997] += 100;  // so that turns have something to decide
        scorer->score(frame, result);
        stream.push(frame, i, result, &reading);
      }
      EXPECT(allocations == before);
      EXPECT(result.score == result.score);
    }
  EXPECT(allocations > 0);
}
