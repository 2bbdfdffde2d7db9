#include "json_value.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "errors.hpp"

namespace maclip {
namespace {

constexpr std::size_t kDeepest = 990;       // levels; Python's recursion ends there
constexpr std::size_t kLongestInteger = 4300;  // digits; Python's limit

const char kRemedy[] = "export the bundle again";

BundleError refuse(const std::string& reason) {
  return BundleError("not valid JSON (" + reason + ")", kRemedy);
}

// Events of nlohmann's parser to values. Its own values sort members, or look for each among all before it.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonValue root;

  bool null() override { return add(JsonNull{}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value <= INT64_MAX) return add(static_cast<std::int64_t>(value));
    return add(JsonLongInteger{std::to_string(value)});
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") != string_t::npos) return add(double{value});
    if (text.size() > kLongestInteger) throw refuse("an integer of too many digits");
    return add(JsonLongInteger{text});
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON text has none
  bool start_object(std::size_t) override { return open(JsonObject{}); }
  bool key(string_t& name) override {
    names_.back() = std::move(name);
    return true;
  }
  bool end_object() override {
    keep_last_of_each_name(std::get<JsonObject>(*open_.back()));
    return close();
  }
  bool start_array(std::size_t) override { return open(JsonArray{}); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw refuse("char " + std::to_string(position > 0 ? position - 1 : 0));
  }

 private:
  bool add(JsonValue&& value) {
    place(std::move(value));
    return true;
  }

  bool open(JsonValue&& value) {
    if (open_.size() >= kDeepest) throw refuse("nested too deeply");
    open_.push_back(place(std::move(value)));
    names_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  // Not inlined: GCC 12 takes moved-from alternatives of the variant for uninitialised ones.
  [[gnu::noinline]] JsonValue* place(JsonValue&& value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    if (auto* items = std::get_if<JsonArray>(open_.back())) return &items->emplace_back(std::move(value));
    auto& members = std::get<JsonObject>(*open_.back());
    return &members.emplace_back(std::move(names_.back()), std::move(value)).second;
  }

  static void keep_last_of_each_name(JsonObject& members) {
    std::unordered_map<std::string, std::size_t> places;
    JsonObject kept;
    kept.reserve(members.size());
    for (auto& [name, value] : members) {
      const auto [found, first] = places.emplace(name, kept.size());
      if (first)
        kept.emplace_back(std::move(name), std::move(value));
      else
        kept[found->second].second = std::move(value);
    }
    members = std::move(kept);
  }

  std::vector<JsonValue*> open_;  // arrays and objects from the root to where we are
  std::vector<std::string> names_;  // of the member that comes next, for each of them
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view name) const {
  const auto* members = as<JsonObject>();
  if (members == nullptr) return nullptr;
  const auto found = std::find_if(members->begin(), members->end(),
                                  [name](const auto& member) { return member.first == name; });
  return found == members->end() ? nullptr : &found->second;
}

JsonValue parse_json(std::string_view text) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") throw refuse("begins with a byte order mark");
  Builder builder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder.root);
}

}  // namespace maclip
