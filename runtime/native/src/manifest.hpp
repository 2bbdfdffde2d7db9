// `manifest.json`: what a bundle holds and what the method needs; the twin of bundle/manifest.py.
//
// All of it is read and checked; what the device does not use is not kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "geometry.hpp"
#include "method.hpp"

namespace maclip {

// A length, or the name of a dynamic axis.
using Length = std::variant<std::int64_t, std::string>;

// Type and shape of a graph's input or output.
struct Tensor {
  std::string dtype;
  std::vector<Length> shape;
};

using Tensors = std::vector<std::pair<std::string, Tensor>>;

const Tensor* find_tensor(const Tensors& tensors, std::string_view name);

struct PromptPair {
  std::string name;
  bool scored = true;  // counts for the similarity cue
};

// One file of a bundle; see BundleFile in bundle/manifest.py.
struct BundleFile {
  std::string path;
  std::string role;
  std::int64_t size = 0;
  std::string sha256;
  std::optional<std::string> precision;
  std::optional<std::string> view_mode;
  bool chunked = false;
  std::string pixel_format = "rgb24";  // of the frames that it takes
  bool has_colour = false;
  Tensors inputs;
  Tensors outputs;
  bool is_plan = false;

  bool is_graph() const { return role != "prompts" && !is_plan; }
  // Whether its frames or pictures may have any height and width.
  bool takes_any_size() const;
};

struct Manifest {
  std::string image_tower;
  int features = 0;  // D
  Method method;
  std::vector<PromptPair> prompts;
  std::vector<BundleFile> files;
};

// Reads a manifest; BundleError, saying where, if any of it is not understood.
Manifest parse_manifest(std::string_view text);

}  // namespace maclip
