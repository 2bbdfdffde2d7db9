// Blocks of neighbouring windows, for dense mode; the twin of split_into_blocks in method/geometry.py.
#pragma once

#include <vector>

#include "geometry.hpp"

namespace maclip {

// Neighbouring windows of a frame: the first window's row and column, how many of each, and their pixels.
struct Block {
  int row, column, rows, columns;
  int top, left, height, width;
};

// The blocks of a frame, row by row, of at most `side` windows a side and as equal as can be.
void split_into_blocks(const Grid& grid, const ViewGeometry& geometry, int side, std::vector<Block>& blocks);

}  // namespace maclip
