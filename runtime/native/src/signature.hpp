// What goes into a graph and comes out of it, checked against its role and its manifest entry; the twin of
// engines/signature.py. A graph that differs would score something else.
#pragma once

#include "manifest.hpp"

namespace maclip {

// BundleError, naming the file, unless an image encoder takes and gives what the manifest and the method say. inputs,
// outputs: what the graph itself says. view_size: S.
void check_signature(const BundleFile& file, const Tensors& inputs, const Tensors& outputs, int view_size);

}  // namespace maclip
