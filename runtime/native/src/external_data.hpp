// Graphs that keep weights in other files are refused: a checksum covers the graph alone. The twin of
// bundle/external_data.py.
#pragma once

#include <string_view>

namespace maclip {

// Throws BundleError, naming no file, if a tensor's data is outside, or if this is no ONNX graph.
void refuse_external_data(std::string_view graph);

}  // namespace maclip
