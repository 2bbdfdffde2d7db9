// JSON values as types, strictly; the twin of bundle/parsing.py.
//
// A missing or unknown field, a value of another type or out of its range: each is a BundleError of one line that
// says where. A reader is a function of a value and where it is found; objects are read by a list of fields.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "json_value.hpp"

namespace maclip {

// The numbers allowed, as method/ranges.py writes them.
struct NumberRange {
  std::optional<double> least{};
  std::optional<double> most{};
  std::optional<double> above{};

  bool holds(double value) const;
  std::string describe() const;
};

BundleError refuse_value(const JsonValue& value, const std::string& where);

std::string read_string(const JsonValue& value, const std::string& where);
bool read_bool(const JsonValue& value, const std::string& where);
double read_number(const JsonValue& value, const std::string& where, const NumberRange& range = {});
// Beyond 64 bits it is the largest there is.
std::int64_t read_integer(const JsonValue& value, const std::string& where, const NumberRange& range = {});
std::string read_word(const JsonValue& value, const std::string& where,
                      const std::vector<std::string_view>& words);

// One field of an object: its name, and what reads it.
struct Field {
  std::string_view name;
  bool required;
  std::function<void(const JsonValue&, const std::string& where)> read;
};

// Reads an object's members in their order.
void read_object(const JsonValue& value, const std::string& where, const std::vector<Field>& fields);

// Reads every item of an array; `read` gets its place, too. `length`: how many there must be, if that is fixed.
void read_array(const JsonValue& value, const std::string& where,
                const std::function<void(const JsonValue&, const std::string& where, std::size_t place)>& read,
                std::optional<std::size_t> length = std::nullopt);

// Reads every member of an object whose names are free.
void read_members(const JsonValue& value, const std::string& where,
                  const std::function<void(const std::string& name, const JsonValue&, const std::string& where)>& read);

// Reads null, or what `read` reads; anything else is refused as a whole.
void read_optional(const JsonValue& value, const std::string& where,
                   const std::function<void(const JsonValue&, const std::string& where)>& read);

}  // namespace maclip
