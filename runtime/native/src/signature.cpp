#include "signature.hpp"

#include <algorithm>
#include <string>

#include "errors.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

BundleError refuse(const BundleFile& file, const std::string& fault) {
  return BundleError(file.path + ": " + fault, "export the bundle again");
}

// The same type and rank, and the same length wherever both have one; dynamic axes have none.
bool fits(const Tensor& found, const Tensor& wanted) {
  if (found.dtype != wanted.dtype || found.shape.size() != wanted.shape.size()) return false;
  for (std::size_t axis = 0; axis < found.shape.size(); ++axis) {
    const auto* have = std::get_if<std::int64_t>(&found.shape[axis]);
    const auto* want = std::get_if<std::int64_t>(&wanted.shape[axis]);
    // 0: an axis whose length the exporter could not say.
    if (have != nullptr && want != nullptr && *have != 0 && *want != 0 && *have != *want) return false;
  }
  return true;
}

constexpr std::size_t kMost = 80;  // characters of what a graph says

std::string show_text(const std::string& text) {
  return is_printable(text) ? std::string(cut_text(text, kMost)) : show_string(text, kMost);
}

std::vector<std::string> sort_names(const Tensors& tensors) {
  std::vector<std::string> names;
  for (const auto& named : tensors) names.push_back(named.first);
  std::sort(names.begin(), names.end());
  return names;
}

std::string show_names(const Tensors& tensors) {
  return tensors.empty() ? "nothing" : show_text(join(sort_names(tensors)));
}

std::string show_tensor(const Tensor& tensor) {
  std::vector<std::string> lengths;
  for (const auto& length : tensor.shape) {
    const auto* number = std::get_if<std::int64_t>(&length);
    lengths.push_back(number != nullptr ? std::to_string(*number) : std::get<std::string>(length));
  }
  return show_text(tensor.dtype + " [" + join(lengths) + "]");
}

void compare(const BundleFile& file, const std::string& kind, const Tensors& listed, const Tensors& found) {
  if (sort_names(listed) != sort_names(found))
    throw refuse(file, "has the " + kind + "s " + show_names(found) + ", not " + show_names(listed));
  for (const auto& [name, tensor] : found) {
    const Tensor& wanted = *find_tensor(listed, name);
    if (!fits(tensor, wanted))
      throw refuse(file, "has the " + kind + " " + name + " " + show_tensor(tensor) + ", not " + show_tensor(wanted));
  }
}

void check_tensor(const BundleFile& file, const std::string& name, const Tensor& found, const Tensor& wanted) {
  if (!fits(found, wanted))
    throw refuse(file, "has " + name + " " + show_tensor(found) + ", not " + show_tensor(wanted));
}

}  // namespace

void check_signature(const BundleFile& file, const Tensors& inputs, const Tensors& outputs, int view_size) {
  compare(file, "input", file.inputs, inputs);
  compare(file, "output", file.outputs, outputs);
  const Tensor* pixels = find_tensor(inputs, "pixels");
  const Tensor* features = find_tensor(outputs, "features");
  if (inputs.size() != 1 || pixels == nullptr || features == nullptr)
    throw refuse(file, "turns " + show_names(inputs) + " into " + show_names(outputs) + ": no " + file.role);
  const std::string views = "views";
  const std::int64_t side = view_size;
  check_tensor(file, "pixels", *pixels, {"float32", {views, std::int64_t{3}, side, side}});
  check_tensor(file, "features", *features, {"float32", {views, std::string("features")}});
}

}  // namespace maclip
