#include "migration.hpp"

#include <algorithm>
#include <map>

#include "errors.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

const std::map<std::string, std::string> kRoles = {
    {"image_encoder", "image_encoder"}, {"text_encoder", "text_encoder"},
    {"prompts", "prompts"},             {"frame", "frame_graph"},
    {"dense_frame", "dense_frame_graph"}, {"score", "score_graph"},
};

// As Python's exceptions read.
BundleError refuse(const std::string& reason) {
  return BundleError(
      "its files or method are not those of schema 1 (" + std::string(cut_text(reason, kShown)) + ")",
      "export the bundle again");
}

const JsonValue& get(const JsonValue& value, const std::string& name) {
  if (value.as<JsonObject>() == nullptr) throw refuse("TypeError('no object')");
  const auto* found = value.find(name);
  if (found == nullptr) throw refuse("KeyError(" + show_string(name) + ")");
  return *found;
}

void put(JsonObject& object, const std::string& name, JsonValue value) {
  for (auto& member : object) {
    if (member.first != name) continue;
    member.second = std::move(value);
    return;
  }
  object.emplace_back(name, std::move(value));
}

const std::string& get_text(const JsonValue& value, const std::string& name) {
  const auto& found = get(value, name);
  if (const auto* text = found.as<std::string>()) return *text;
  throw refuse("KeyError(" + show_value(found) + ")");
}

using Files = std::map<std::string, const JsonValue*>;

std::string find_kind(const JsonValue& file, const Files& files) {
  const auto& kind = get(file, "kind");
  const auto* text = kind.as<std::string>();
  if (text == nullptr || *text != "plan") return get_text(file, "kind");
  const auto& graph = get_text(get(file, "plan"), "graph");
  const auto found = files.find(graph);
  if (found == files.end()) throw refuse("KeyError(" + show_string(graph) + ")");
  return get_text(*found->second, "kind");
}

JsonValue upgrade_file(const JsonValue& file, const Files& files) {
  JsonObject upgraded;
  for (const auto& member : std::get<JsonObject>(file))
    if (member.first != "kind" && member.first != "ranking" && member.first != "wide_nodes")
      upgraded.push_back(member);
  const auto kind = find_kind(file, files);
  const auto role = kRoles.find(kind);
  if (role == kRoles.end()) throw refuse("KeyError(" + show_string(kind) + ")");
  put(upgraded, "role", role->second);
  const bool has_views = kind != "text_encoder" && kind != "prompts";
  JsonValue mode = JsonNull{};
  if (has_views) mode = std::string(kind == "dense_frame" ? "dense" : "exact");
  put(upgraded, "view_mode", std::move(mode));
  const auto* inputs = file.find("inputs");
  put(upgraded, "chunked", inputs != nullptr && inputs->find("views") != nullptr);
  const auto* ranking = file.find("ranking");
  put(upgraded, "agreement", ranking == nullptr ? JsonValue(JsonNull{}) : *ranking);
  const auto* nodes = file.find("wide_nodes");
  put(upgraded, "float32_nodes", nodes == nullptr ? JsonValue(JsonObject{}) : *nodes);
  return upgraded;
}

}  // namespace

JsonValue upgrade_schema_1(const JsonValue& manifest) {
  const auto* listed = get(manifest, "files").as<JsonArray>();
  if (listed == nullptr) throw refuse("TypeError('files are no list')");
  Files files;
  for (const auto& file : *listed) files[get_text(file, "path")] = &file;
  const auto& method = get(manifest, "method");
  const auto& head = get(method, "head");
  JsonObject new_head;
  put(new_head, "alpha", get(head, "alpha"));
  put(new_head, "similarity", JsonObject{{"base", get(head, "similarity_base")}});
  put(new_head, "magnitude",
      JsonObject{{"base", get(head, "magnitude_base")}, {"boxcox_lambda", get(head, "boxcox_lambda")}});
  JsonObject new_method = std::get<JsonObject>(method);
  put(new_method, "head", std::move(new_head));
  JsonArray new_files;
  for (const auto& file : *listed) new_files.push_back(upgrade_file(file, files));
  JsonObject upgraded = std::get<JsonObject>(manifest);
  put(upgraded, "schema", std::int64_t{2});
  put(upgraded, "method", std::move(new_method));
  put(upgraded, "files", std::move(new_files));
  return upgraded;
}

}  // namespace maclip
