// JSON as Python's reader takes it: members in their order, the last of a name counts, integers of any length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace maclip {

struct JsonValue;

struct JsonNull {};

// An integer beyond 64 bits: its digits.
struct JsonLongInteger {
  std::string digits;
};

using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<std::pair<std::string, JsonValue>>;

struct JsonValue : std::variant<JsonNull, bool, std::int64_t, JsonLongInteger, double, std::string, JsonArray,
                                JsonObject> {
  using variant::variant;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(static_cast<const variant*>(this));
  }

  // The member of an object; nullptr where it has none, or is no object.
  const JsonValue* find(std::string_view name) const;
};

// The value of a text; BundleError if it is not JSON, or nested more deeply than Python's reader goes.
JsonValue parse_json(std::string_view text);

}  // namespace maclip
