#include "python_words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace maclip {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode's separators other than the space, controls, marks that format, surrogates and private use.
constexpr Range kUnprintable[] = {
    {0x0, 0x1F},         {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
    {0x6DD, 0x6DD},      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},
    {0x180E, 0x180E},    {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
    {0xD800, 0xF8FF},    {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD},
    {0x110CD, 0x110CD},  {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF},
    {0xE01F0, 0x10FFFF},
};

bool is_printable(char32_t character) {
  const auto* found = std::lower_bound(std::begin(kUnprintable), std::end(kUnprintable), character,
                                       [](const Range& range, char32_t c) { return range.last < c; });
  return found == std::end(kUnprintable) || character < found->first;
}

// Length of the character that begins at `place`; 0 where there is none in UTF-8 (RFC 3629).
std::size_t measure_character(std::string_view text, std::size_t place, char32_t* character = nullptr) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[place + i]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || place + length > text.size()) return 0;
  char32_t value = length == 1 ? lead : lead & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3F);
  }
  const bool too_long = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (too_long || (value >= 0xD800 && value < 0xE000) || value > 0x10FFFF) return 0;
  if (character != nullptr) *character = value;
  return length;
}

void append_hexadecimal(std::string& out, const char* prefix, unsigned long value, int digits) {
  out += prefix;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
}

void append_escaped(std::string& out, char32_t character, std::string_view bytes, char quote) {
  if (character == static_cast<unsigned char>(quote) || character == '\\') {
    out += '\\';
    out += static_cast<char>(character);
  } else if (character == '\n') {
    out += "\\n";
  } else if (character == '\r') {
    out += "\\r";
  } else if (character == '\t') {
    out += "\\t";
  } else if (is_printable(character)) {
    out += bytes;
  } else if (character < 0x100) {
    append_hexadecimal(out, "\\x", character, 2);
  } else if (character < 0x10000) {
    append_hexadecimal(out, "\\u", character, 4);
  } else {
    append_hexadecimal(out, "\\U", character, 8);
  }
}

// Writes a value until there are enough characters: what a hostile file nests is not all shown.
class Writer {
 public:
  explicit Writer(std::size_t most) : most_(most) {}

  std::string out;

  bool full() const { return out.size() >= most_; }

  void write(const JsonValue& value) {
    if (full()) return;
    if (value.as<JsonNull>() != nullptr) out += "None";
    if (const auto* truth = value.as<bool>()) out += *truth ? "True" : "False";
    if (const auto* integer = value.as<std::int64_t>()) out += std::to_string(*integer);
    if (const auto* integer = value.as<JsonLongInteger>()) out += integer->digits;
    if (const auto* number = value.as<double>()) out += show_number(*number);
    if (const auto* text = value.as<std::string>()) out += show_string(*text, 4 * most_);
    if (const auto* items = value.as<JsonArray>())
      write_list('[', *items, ']', [this](const JsonValue& item) { write(item); });
    if (const auto* members = value.as<JsonObject>())
      write_list('{', *members, '}', [this](const auto& member) {
        out += show_string(member.first, 4 * most_) + ": ";
        write(member.second);
      });
  }

 private:
  template <typename List, typename WriteOne>
  void write_list(char opening, const List& list, char closing, WriteOne write_one) {
    out += opening;
    const char* separator = "";
    for (const auto& item : list) {
      if (full()) return;
      out += separator;
      write_one(item);
      separator = ", ";
    }
    out += closing;
  }

  std::size_t most_;
};

}  // namespace

std::string show_value(const JsonValue& value, std::size_t most) {
  Writer writer(4 * most);  // bytes: a character has at most four
  writer.write(value);
  return std::string(cut_text(writer.out, most));
}

std::string show_string(std::string_view text, std::size_t most) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  std::size_t characters = 1;
  for (std::size_t place = 0; place < text.size() && characters < most; ++characters) {
    char32_t character = 0;
    std::size_t length = measure_character(text, place, &character);
    if (length == 0) {  // a byte of a file's name, say: as Python decodes it
      character = 0xDC00 + static_cast<unsigned char>(text[place]);
      length = 1;
    }
    append_escaped(out, character, text.substr(place, length), quote);
    place += length;
  }
  return std::string(cut_text(out + quote, most));
}

std::string show_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer;
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
  std::string text(buffer.data(), end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string show_brief_number(double value) {
  std::array<char, 40> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, 6).ptr;
  return {buffer.data(), end};
}

bool is_printable(std::string_view text) {
  for (std::size_t place = 0; place < text.size();) {
    char32_t character = 0;
    const std::size_t length = measure_character(text, place, &character);
    if (length == 0 || !is_printable(character)) return false;
    place += length;
  }
  return true;
}

std::string show_name(std::string_view name) {
  const bool short_enough = cut_text(name, kShown).size() == name.size();
  return short_enough && is_printable(name) ? std::string(name) : show_string(name, kShown);
}

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t place = 0; place < text.size();) {
    const std::size_t length = measure_character(text, place);
    if (length == 0) return place;
    place += length;
  }
  return std::string_view::npos;
}

std::string_view cut_text(std::string_view text, std::size_t most) {
  std::size_t place = 0;
  for (std::size_t count = 0; count < most && place < text.size(); ++count)
    place += std::max<std::size_t>(1, measure_character(text, place));
  return text.substr(0, place);
}

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string joined;
  for (const auto& word : words) {
    if (!joined.empty()) joined += separator;
    joined += word;
  }
  return joined;
}

}  // namespace maclip
