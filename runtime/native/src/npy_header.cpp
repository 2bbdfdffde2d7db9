#include "npy_header.hpp"

#include <algorithm>
#include <map>

#include "errors.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kPreamble = 10;  // magic, version, length of what follows
constexpr std::size_t kMostAxes = 64;  // NumPy's own limit
constexpr std::int64_t kLongest = std::int64_t{1} << 48;

BundleError refuse(const std::string& reason) {
  return BundleError("not readable (" + show_string(cut_text(reason, 100)) + ")");
}

// The literal of a dictionary that NumPy writes: three names, a string, a truth and a tuple of lengths.
class Literal {
 public:
  explicit Literal(std::string_view text) : text_(text) {}

  NpyHeader read() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string name = read_string();
      expect(':');
      if (name == "descr" && !has_descr) {
        header.descr = read_string();
        has_descr = true;
      } else if (name == "fortran_order" && !has_order) {
        header.in_columns = read_truth();
        has_order = true;
      } else if (name == "shape" && !has_shape) {
        header.shape = read_shape();
        has_shape = true;
      } else {
        throw refuse("Header does not contain the correct keys: " + name);
      }
      if (take(',')) continue;
      expect('}');
      break;
    }
    skip_spaces();
    if (place_ != text_.size()) throw refuse("Cannot parse header");
    if (!has_descr || !has_order || !has_shape) throw refuse("Header does not contain the correct keys");
    return header;
  }

 private:
  void skip_spaces() {
    while (place_ < text_.size() && (text_[place_] == ' ' || text_[place_] == '\n')) ++place_;
  }

  bool take(char wanted) {
    skip_spaces();
    if (place_ >= text_.size() || text_[place_] != wanted) return false;
    ++place_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) throw refuse("Cannot parse header");
  }

  std::string read_string() {
    skip_spaces();
    const char quote = place_ < text_.size() ? text_[place_] : '\0';
    if (quote != '\'' && quote != '"') throw refuse("descr is not a valid dtype descriptor");
    const std::size_t end = text_.find(quote, ++place_);
    if (end == std::string_view::npos) throw refuse("Cannot parse header");
    const std::string word(text_.substr(place_, end - place_));
    if (word.find('\\') != std::string::npos) throw refuse("Cannot parse header");
    place_ = end + 1;
    return word;
  }

  bool read_truth() {
    skip_spaces();
    for (const auto& [word, truth] : {std::pair("True", true), std::pair("False", false)}) {
      const std::string_view wanted(word);
      if (text_.substr(place_, wanted.size()) != wanted) continue;
      place_ += wanted.size();
      return truth;
    }
    throw refuse("fortran_order is not a valid bool");
  }

  std::vector<std::int64_t> read_shape() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!take(')')) {
      if (shape.size() >= kMostAxes) throw refuse("shape is not valid");
      shape.push_back(read_length());
      if (take(',')) continue;
      expect(')');
      break;
    }
    return shape;
  }

  std::int64_t read_length() {
    const bool negative = take('-');
    std::int64_t value = 0;
    const std::size_t start = place_;
    while (place_ < text_.size() && text_[place_] >= '0' && text_[place_] <= '9' && value < kLongest)
      value = 10 * value + (text_[place_++] - '0');
    if (place_ == start || value >= kLongest) throw refuse("shape is not valid");
    return negative ? -value : value;
  }

  std::string_view text_;
  std::size_t place_ = 0;
};

}  // namespace

NpyHeader read_npy_header(std::string_view content, std::size_t most) {
  if (content.size() < kPreamble) throw refuse("EOF: reading array header");
  if (content.substr(0, kMagic.size()) != kMagic) throw refuse("the magic string is not correct");
  const auto byte = [&](std::size_t place) { return static_cast<unsigned char>(content[place]); };
  if (byte(6) != 1 || byte(7) != 0)
    throw BundleError("embeddings have .npy version (" + std::to_string(byte(6)) + ", " + std::to_string(byte(7)) +
                      "), not (1, 0)");
  const std::size_t length = byte(8) | static_cast<std::size_t>(byte(9)) << 8;
  if (length > most || kPreamble + length > content.size()) throw refuse("EOF: reading array header");
  NpyHeader header = Literal(content.substr(kPreamble, length)).read();
  header.length = kPreamble + length;
  return header;
}

std::string show_dtype(const std::string& descr) {
  static const std::map<std::string, std::string> names = {
      {"<f4", "float32"}, {"<f8", "float64"}, {"<f2", "float16"}, {"<i4", "int32"}, {"<i8", "int64"},
      {"<u4", "uint32"},  {"<u8", "uint64"},  {"<i2", "int16"},   {"<u2", "uint16"}, {"|u1", "uint8"},
      {"|i1", "int8"},    {"|b1", "bool"},    {"|O", "object"}};
  const auto found = names.find(descr);
  return found == names.end() ? show_name(descr) : found->second;
}

std::string show_npy_shape(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> lengths;
  std::transform(shape.begin(), shape.end(), std::back_inserter(lengths),
                 [](std::int64_t length) { return std::to_string(length); });
  return "(" + join(lengths) + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace maclip
