#include "manifest.hpp"

#include <algorithm>

#include "migration.hpp"
#include "python_words.hpp"
#include "strict_reader.hpp"

namespace maclip {
namespace {

constexpr std::int64_t kSchema = 2;
const char kRemedy[] = "export the bundle again";

using Where = const std::string&;

const NumberRange kCount{0.0, {}, {}};
const NumberRange kUnit{0.0, {}, {}};
const std::vector<std::string_view> kRoles = {
    "image_encoder", "text_encoder", "prompts", "frame_graph", "dense_frame_graph", "score_graph"};
const std::vector<std::string_view> kPrecisions = {"fp32", "fp16", "int8"};
const std::vector<std::string_view> kViewModes = {"exact", "dense"};
const std::vector<std::string_view> kPixelFormats = {"rgb24", "bgr24", "rgba", "nv12"};

// Fields whose values the device does not need are checked all the same.
Field check_string(std::string_view name, bool required = true) {
  return {name, required, [](const JsonValue& value, Where where) { read_string(value, where); }};
}

Field check_number(std::string_view name, const NumberRange& range = {}) {
  return {name, true, [range](const JsonValue& value, Where where) { read_number(value, where, range); }};
}

Field keep_number(std::string_view name, double& place, const NumberRange& range, bool required = false) {
  return {name, required, [&place, range](const JsonValue& value, Where where) {
            place = read_number(value, where, range);
          }};
}

Field keep_string(std::string_view name, std::string& place) {
  return {name, true, [&place](const JsonValue& value, Where where) { place = read_string(value, where); }};
}

Field keep_integer(std::string_view name, int& place, const NumberRange& range, bool required = false) {
  return {name, required, [&place, range](const JsonValue& value, Where where) {
            place = static_cast<int>(std::min<std::int64_t>(read_integer(value, where, range), 1 << 30));
          }};
}

void read_weights(const JsonValue& value, Where where) {
  read_object(value, where,
              {check_string("name"), check_string("source"), check_string("sha256"),
               {"demo", false, [](const JsonValue& v, Where w) { read_bool(v, w); }}});
}

void read_architecture(const JsonValue& value, Where where, Manifest& manifest) {
  read_object(value, where,
              {keep_string("image", manifest.image_tower), check_string("text"),
               // the magnitude cue needs a standard deviation
               keep_integer("features", manifest.features, {2.0, {}, {}}, true),
               {"activation", true,
                [](const JsonValue& v, Where w) { read_word(v, w, {"quick_gelu", "gelu"}); }}});
}

Field keep_channels(std::string_view name, std::array<double, 3>& place, const NumberRange& range) {
  return {name, false, [&place, range](const JsonValue& value, Where where) {
            // Of another length it is refused before the items are looked at.
            read_array(
                value, where,
                [&](const JsonValue& item, Where w, std::size_t index) { place[index] = read_number(item, w, range); },
                place.size());
          }};
}

void read_geometry(const JsonValue& value, Where where, ViewGeometry& geometry) {
  read_object(value, where,
              {keep_integer("size", geometry.size, {32.0, 1024.0, {}}),
               keep_integer("stride", geometry.stride, {16.0, 1024.0, {}}),
               keep_channels("mean", geometry.mean, {0.0, 1.0, {}}),
               keep_channels("std", geometry.std, {{}, 1.0, 0.0})});
}

void read_head(const JsonValue& value, Where where, Head& head) {
  const NumberRange base{-100.0, 100.0, {}};
  read_object(
      value, where,
      {keep_number("alpha", head.alpha, {0.0, 100.0, {}}),
       {"similarity", false,
        [&](const JsonValue& v, Where w) { read_object(v, w, {keep_number("base", head.similarity_base, base)}); }},
       {"magnitude", false, [&](const JsonValue& v, Where w) {
          read_object(v, w,
                      {keep_number("base", head.magnitude_base, base),
                       keep_number("boxcox_lambda", head.boxcox_lambda, {-10.0, 10.0, {}})});
        }}});
}

void read_method(const JsonValue& value, Where where, Method& method) {
  read_object(value, where,
              {{"views", true, [&](const JsonValue& v, Where w) { read_geometry(v, w, method.views); }},
               keep_number("logit_scale", method.logit_scale, {-20.0, 20.0, {}}, true),
               {"head", true, [&](const JsonValue& v, Where w) { read_head(v, w, method.head); }}});
}

PromptPair read_pair(const JsonValue& value, Where where) {
  PromptPair pair;
  read_object(value, where,
              {keep_string("name", pair.name), check_string("good"), check_string("bad"),
               {"scored", false, [&](const JsonValue& v, Where w) { pair.scored = read_bool(v, w); }}});
  return pair;
}

Length read_length(const JsonValue& value, Where where) {
  if (const auto* name = value.as<std::string>()) return *name;
  return read_integer(value, where);
}

Tensor read_tensor(const JsonValue& value, Where where) {
  Tensor tensor;
  read_object(value, where,
              {keep_string("dtype", tensor.dtype), {"shape", true, [&](const JsonValue& v, Where w) {
                 read_array(v, w, [&](const JsonValue& item, Where at, std::size_t) {
                   tensor.shape.push_back(read_length(item, at));
                 });
               }}});
  return tensor;
}

Field keep_tensors(std::string_view name, Tensors& place) {
  return {name, false, [&place](const JsonValue& value, Where where) {
            read_members(value, where, [&](const std::string& key, const JsonValue& item, Where w) {
              place.emplace_back(key, read_tensor(item, w));
            });
          }};
}

Field keep_word(std::string_view name, std::optional<std::string>& place,
                const std::vector<std::string_view>& words) {
  return {name, false, [&place, words](const JsonValue& value, Where where) {
            read_optional(value, where, [&](const JsonValue& v, Where w) { place = read_word(v, w, words); });
          }};
}

Field check_optional(std::string_view name, const std::function<void(const JsonValue&, Where)>& read) {
  return {name, false, [read](const JsonValue& value, Where where) { read_optional(value, where, read); }};
}

void read_verification(const JsonValue& value, Where where) {
  read_object(value, where,
              {check_string("reference"), check_number("difference", kUnit), check_number("tolerance", kUnit),
               check_string("cases")});
}

void read_agreement(const JsonValue& value, Where where) {
  read_object(value, where,
              {check_number("srcc", {-1.0, 1.0, {}}), check_number("mean_difference"),
               check_number("largest_difference"),
               {"pictures", true, [](const JsonValue& v, Where w) { read_integer(v, w, kCount); }}});
}

void read_profile(const JsonValue& value, Where where) {
  const auto read_shape = [](const JsonValue& shape, Where w, std::size_t) {
    read_array(shape, w, [](const JsonValue& length, Where at, std::size_t) { read_integer(length, at); });
  };
  read_members(value, where, [&](const std::string&, const JsonValue& shapes, Where w) {
    read_array(shapes, w, read_shape, 3);
  });
}

void read_plan(const JsonValue& value, Where where) {
  read_object(
      value, where,
      {{"library", true, [](const JsonValue& v, Where w) { read_word(v, w, {"tensorrt", "tensorrt-rtx"}); }},
       check_string("version"),
       {"compute_capabilities", true,
        [](const JsonValue& v, Where w) {
          read_array(v, w, [](const JsonValue& item, Where at, std::size_t) { read_string(item, at); });
        }},
       check_string("device"), check_string("graph"), check_string("graph_sha256"),
       {"profile", true, read_profile},
       {"version_compatible", false, [](const JsonValue& v, Where w) { read_bool(v, w); }},
       check_optional("multiprocessors", [](const JsonValue& v, Where w) { read_integer(v, w, kCount); }),
       check_optional("memory", [](const JsonValue& v, Where w) { read_integer(v, w, kCount); })});
}

void read_colour(const JsonValue& value, Where where) {
  read_object(value, where,
              {{"matrix", true, [](const JsonValue& v, Where w) { read_word(v, w, {"bt601", "bt709", "bt2020"}); }},
               {"range", true, [](const JsonValue& v, Where w) { read_word(v, w, {"limited", "full"}); }}});
}

BundleFile read_file(const JsonValue& value, Where where) {
  BundleFile file;
  read_object(
      value, where,
      {keep_string("path", file.path),
       {"role", true, [&](const JsonValue& v, Where w) { file.role = read_word(v, w, kRoles); }},
       {"size", true, [&](const JsonValue& v, Where w) { file.size = read_integer(v, w, kCount); }},
       keep_string("sha256", file.sha256), keep_word("precision", file.precision, kPrecisions),
       keep_word("view_mode", file.view_mode, kViewModes),
       {"chunked", false, [&](const JsonValue& v, Where w) { file.chunked = read_bool(v, w); }},
       {"pixel_format", false,
        [&](const JsonValue& v, Where w) { file.pixel_format = read_word(v, w, kPixelFormats); }},
       check_optional("colour", [&](const JsonValue& v, Where w) {
         read_colour(v, w);
         file.has_colour = true;
       }),
       keep_tensors("inputs", file.inputs), keep_tensors("outputs", file.outputs),
       check_optional("verification", read_verification), check_optional("agreement", read_agreement),
       {"float32_nodes", false,
        [](const JsonValue& v, Where w) {
          read_members(v, w, [](const std::string&, const JsonValue& item, Where at) { read_string(item, at); });
        }},
       check_optional("multiply_adds", [](const JsonValue& v, Where w) { read_integer(v, w, kCount); }),
       check_optional("plan", [&](const JsonValue& v, Where w) {
         read_plan(v, w);
         file.is_plan = true;
       })});
  return file;
}

Manifest read_manifest(const JsonValue& value) {
  Manifest manifest;
  read_object(
      value, "manifest",
      {check_string("created_by"), {"weights", true, read_weights},
       {"architecture", true, [&](const JsonValue& v, Where w) { read_architecture(v, w, manifest); }},
       {"method", true, [&](const JsonValue& v, Where w) { read_method(v, w, manifest.method); }},
       {"prompts", true,
        [&](const JsonValue& v, Where w) {
          read_array(v, w, [&](const JsonValue& item, Where at, std::size_t) {
            manifest.prompts.push_back(read_pair(item, at));
          });
        }},
       {"files", true,
        [&](const JsonValue& v, Where w) {
          read_array(v, w, [&](const JsonValue& item, Where at, std::size_t) {
            manifest.files.push_back(read_file(item, at));
          });
        }},
       {"schema", false, [](const JsonValue&, Where) {}}});  // looked at before
  return manifest;
}

// Whether an integer, of any length, is larger than the schema that this library reads.
bool is_newer(const JsonValue& schema) {
  if (const auto* number = schema.as<std::int64_t>()) return *number > kSchema;
  const auto* beyond = schema.as<JsonLongInteger>();
  return beyond != nullptr && beyond->digits.front() != '-';
}

}  // namespace

const Tensor* find_tensor(const Tensors& tensors, std::string_view name) {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return &tensor;
  return nullptr;
}

bool BundleFile::takes_any_size() const {
  bool takes_pixels = false;
  for (const char* name : {"frame", "pixels"}) {
    const auto* tensor = find_tensor(inputs, name);
    if (tensor == nullptr) continue;
    takes_pixels = true;
    const auto has = [tensor](const char* axis) {
      return std::find(tensor->shape.begin(), tensor->shape.end(), Length(std::string(axis))) !=
             tensor->shape.end();
    };
    // "rows": of nv12, half as many again as the frame's height
    if (!(has("height") || has("rows")) || !has("width")) return false;
  }
  return takes_pixels;
}

Manifest parse_manifest(std::string_view text) {
  JsonValue value = parse_json(text);
  static const JsonValue none = JsonNull{};
  const auto* found = value.find("schema");
  const JsonValue& schema = found == nullptr ? none : *found;
  if (is_newer(schema))
    throw BundleError("made by a newer maclip-edge (schema " + show_value(schema, std::string::npos / 8) +
                          ", this one reads up to " + std::to_string(kSchema) + ")",
                      "upgrade maclip-edge");
  const auto* number = schema.as<std::int64_t>();
  if (number != nullptr && *number == 1)
    value = upgrade_schema_1(value);
  else if (number == nullptr || *number != kSchema)
    throw BundleError("schema " + show_value(schema) + " is not known", kRemedy);
  Manifest manifest = read_manifest(value);
  if (std::none_of(manifest.prompts.begin(), manifest.prompts.end(), [](const auto& pair) { return pair.scored; }))
    throw BundleError("manifest.prompts has no pair that is scored", kRemedy);
  for (std::size_t place = 0; place < manifest.files.size(); ++place) {
    const BundleFile& file = manifest.files[place];
    const std::string where = "manifest.files[" + std::to_string(place) + "]";
    const auto* tensor = find_tensor(file.outputs, "features");
    if (tensor != nullptr &&
        (tensor->shape.empty() || tensor->shape.back() != Length(std::int64_t{manifest.features})))
      throw BundleError(where + ".outputs.features has not the architecture's " +
                            std::to_string(manifest.features) + " features",
                        kRemedy);
    if ((file.pixel_format == "nv12") != file.has_colour)
      throw BundleError(where + ".colour is there for nv12 frames, and for no others", kRemedy);
  }
  return manifest;
}

}  // namespace maclip
