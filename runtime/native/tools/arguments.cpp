#include "arguments.hpp"

#include <charconv>
#include <string_view>

namespace {

constexpr unsigned kLongestSide = 65'536;

struct Named {
  const char* name;
  int value;
};
const Named kFormats[] = {{"rgb24", MACLIP_FORMAT_RGB},    {"bgr24", MACLIP_FORMAT_BGR}, {"rgba", MACLIP_FORMAT_RGBA},
                          {"bgra", MACLIP_FORMAT_BGRA},    {"gray8", MACLIP_FORMAT_GRAY}, {"nv12", MACLIP_FORMAT_NV12},
                          {"yuv420p", MACLIP_FORMAT_I420}, {"yuyv422", MACLIP_FORMAT_YUYV}};
const Named kMatrices[] = {{"bt601", MACLIP_MATRIX_BT601}, {"bt709", MACLIP_MATRIX_BT709}, {"bt2020", MACLIP_MATRIX_BT2020}};
const Named kRanges[] = {{"limited", MACLIP_RANGE_LIMITED}, {"full", MACLIP_RANGE_FULL}};

template <std::size_t N>
int find_word(const Named (&words)[N], const std::string& option, const std::string& word) {
  std::string known;
  for (const Named& named : words) {
    if (word == named.name) return named.value;
    known += std::string(known.empty() ? "" : ", ") + named.name;
  }
  throw Unusable(option + " " + word + " is not known; use one of " + known);
}

unsigned parse_number(const std::string& option, std::string_view text, unsigned most) {
  unsigned number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number == 0 || number > most)
    throw Unusable(option + " " + std::string(text) + ": give a number from 1 to " + std::to_string(most));
  return number;
}

}  // namespace

Arguments parse_arguments(int count, char** given) {
  Arguments arguments;
  bool options_end = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = given[i];
    if (options_end || word.size() < 2 || word.substr(0, 2) != "--") {
      arguments.pictures.push_back(word);
      continue;
    }
    if (word == "--") {
      options_end = true;
      continue;
    }
    if (++i == count) throw Unusable(word + " needs a value");
    const std::string value = given[i];
    if (word == "--bundle") {
      arguments.bundle = value;
    } else if (word == "--engine") {
      arguments.engine = value;
    } else if (word == "--precision") {
      arguments.precision = value;
    } else if (word == "--views") {
      arguments.views = value;
    } else if (word == "--threads") {
      arguments.threads = parse_number(word, value, 1024);
    } else if (word == "--onnxruntime") {
      arguments.onnxruntime = value;
    } else if (word == "--size") {
      const std::size_t cross = value.find('x');
      if (cross == std::string::npos) throw Unusable("--size " + value + ": give HxW, such as 1080x1920");
      arguments.height = parse_number(word, std::string_view(value).substr(0, cross), kLongestSide);
      arguments.width = parse_number(word, std::string_view(value).substr(cross + 1), kLongestSide);
    } else if (word == "--pixel-format") {
      arguments.format = static_cast<maclip_pixel_format>(find_word(kFormats, word, value));
    } else if (word == "--matrix") {
      arguments.matrix = static_cast<maclip_matrix>(find_word(kMatrices, word, value));
    } else if (word == "--range") {
      arguments.range = static_cast<maclip_range>(find_word(kRanges, word, value));
    } else {
      throw Unusable(word + " is no option; see maclip-score --help");
    }
  }
  if (arguments.bundle.empty()) throw Unusable("no --bundle; name a bundle's folder");
  if (arguments.pictures.empty()) throw Unusable("no picture; see maclip-score --help");
  const bool reads_stdin = arguments.pictures == std::vector<std::string>{"-"};
  if (reads_stdin != arguments.raw() || arguments.raw() != (arguments.format != 0))
    throw Unusable("raw frames take --size, --pixel-format and -");
  return arguments;
}
