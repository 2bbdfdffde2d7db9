#include "strict_reader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "python_words.hpp"

namespace maclip {
namespace {

const char kRemedy[] = "export the bundle again";
constexpr double kLargest = 1e300;  // JSON as Python reads it has integers beyond every float

}  // namespace

bool NumberRange::holds(double value) const {
  return !std::isnan(value) && (!least || value >= *least) && (!most || value <= *most) && (!above || value > *above);
}

std::string NumberRange::describe() const {
  std::vector<std::string> parts;
  if (least) parts.push_back("at least " + show_brief_number(*least));
  if (above) parts.push_back("above " + show_brief_number(*above));
  if (most) parts.push_back("at most " + show_brief_number(*most));
  return join(parts, " and ");
}

BundleError refuse_value(const JsonValue& value, const std::string& where) {
  return BundleError(where + " is not understood: " + show_value(value), kRemedy);
}

std::string read_string(const JsonValue& value, const std::string& where) {
  if (const auto* text = value.as<std::string>()) return *text;
  throw refuse_value(value, where);
}

bool read_bool(const JsonValue& value, const std::string& where) {
  if (const auto* truth = value.as<bool>()) return *truth;
  throw refuse_value(value, where);
}

double read_number(const JsonValue& value, const std::string& where, const NumberRange& range) {
  double number = std::numeric_limits<double>::quiet_NaN();
  if (const auto* integer = value.as<std::int64_t>()) number = static_cast<double>(*integer);
  if (const auto* integer = value.as<JsonLongInteger>()) number = std::strtod(integer->digits.c_str(), nullptr);
  if (const auto* found = value.as<double>()) number = *found;
  if (!(std::abs(number) < kLargest)) throw refuse_value(value, where);
  if (!range.holds(number))
    throw BundleError(where + " is " + show_number(number) + ", and must be " + range.describe(), kRemedy);
  return number;
}

std::int64_t read_integer(const JsonValue& value, const std::string& where, const NumberRange& range) {
  std::int64_t number = 0;
  if (const auto* integer = value.as<std::int64_t>()) {
    number = *integer;
  } else if (const auto* beyond = value.as<JsonLongInteger>()) {
    number = beyond->digits.front() == '-' ? INT64_MIN : INT64_MAX;
  } else {
    throw refuse_value(value, where);
  }
  if (!range.holds(static_cast<double>(number))) {
    const auto shown = show_value(value, std::string::npos / 8);
    throw BundleError(where + " is " + shown + ", and must be " + range.describe(), kRemedy);
  }
  return number;
}

std::string read_word(const JsonValue& value, const std::string& where,
                      const std::vector<std::string_view>& words) {
  const auto* text = value.as<std::string>();
  if (text == nullptr || std::find(words.begin(), words.end(), *text) == words.end())
    throw refuse_value(value, where);
  return *text;
}

void read_object(const JsonValue& value, const std::string& where, const std::vector<Field>& fields) {
  const auto* members = value.as<JsonObject>();
  if (members == nullptr) throw refuse_value(value, where);
  std::vector<std::string> unknown, missing;
  std::unordered_set<std::string_view> there;
  const auto find_field = [&](std::string_view name) {
    return std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  };
  for (const auto& [name, member] : *members) {
    there.insert(name);
    if (find_field(name) == fields.end()) unknown.push_back(name);
  }
  for (const auto& field : fields)
    if (field.required && there.count(field.name) == 0) missing.emplace_back(field.name);
  if (!unknown.empty() || !missing.empty()) {
    auto names = unknown.empty() ? missing : unknown;
    std::sort(names.begin(), names.end());
    std::transform(names.begin(), names.end(), names.begin(), show_name);
    throw BundleError(where + " has " + (unknown.empty() ? "missing" : "unknown") + " fields (" + join(names) + ")",
                      kRemedy);
  }
  for (const auto& [name, member] : *members) find_field(name)->read(member, where + "." + name);
}

void read_array(const JsonValue& value, const std::string& where,
                const std::function<void(const JsonValue&, const std::string&, std::size_t)>& read,
                std::optional<std::size_t> length) {
  const auto* items = value.as<JsonArray>();
  if (items == nullptr || (length && *length != items->size())) throw refuse_value(value, where);
  for (std::size_t place = 0; place < items->size(); ++place)
    read((*items)[place], where + "[" + std::to_string(place) + "]", place);
}

void read_members(const JsonValue& value, const std::string& where,
                  const std::function<void(const std::string&, const JsonValue&, const std::string&)>& read) {
  const auto* members = value.as<JsonObject>();
  if (members == nullptr) throw refuse_value(value, where);
  for (const auto& [name, member] : *members) read(name, member, where + "." + show_name(name));
}

void read_optional(const JsonValue& value, const std::string& where,
                   const std::function<void(const JsonValue&, const std::string&)>& read) {
  if (value.as<JsonNull>() != nullptr) return;
  try {
    read(value, where);
  } catch (const BundleError&) {
    throw refuse_value(value, where);
  }
}

}  // namespace maclip
