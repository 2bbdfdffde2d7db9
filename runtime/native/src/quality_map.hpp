// Quality maps: where in a frame a quantity is high or low, from its values per window; the twin of
// method/quality_map.py, which says why a Hann kernel.
#pragma once

#include "geometry.hpp"

namespace maclip {

// A map's grid of cells: how many, and the side of one in pixels.
struct MapLayout {
  int rows = 0, columns = 0, cell = 0;
};

MapLayout lay_out_map(const ViewGeometry& geometry, const Grid& grid);

// The map [rows, columns] of a frame from its windows' values, row by row, the global view left out. The map of equal
// values is that value exactly, and no cell lies outside the range of the values.
void blend_windows(const float* values, const ViewGeometry& geometry, const Grid& grid, float* map);

}  // namespace maclip
