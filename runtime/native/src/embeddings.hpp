// The prompt embeddings in `prompts.npz`, checked before anything of them is unpacked; the twin of
// bundle/embeddings.py. Nothing is ever unpickled.
#pragma once

#include <string_view>
#include <vector>

namespace maclip {

// The embeddings [pairs, 2, features] of unit length out of an .npz file's bytes. BundleError, naming no file, for
// anything else that the bytes may be.
std::vector<float> read_embeddings(std::string_view data, std::size_t pairs, std::size_t features);

}  // namespace maclip
