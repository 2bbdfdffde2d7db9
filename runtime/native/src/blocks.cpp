#include "blocks.hpp"

namespace maclip {
namespace {

// `count` things in as few runs of at most `most` as it takes.
int count_parts(int count, int most) { return (count + most - 1) / most; }
int find_bound(int count, int parts, int part) { return count * part / parts; }

}  // namespace

void split_into_blocks(const Grid& grid, const ViewGeometry& geometry, int side, std::vector<Block>& blocks) {
  blocks.clear();
  const auto span = [&](int windows) { return (windows - 1) * geometry.stride + geometry.size; };
  const int down = count_parts(grid.rows, side), across = count_parts(grid.columns, side);
  for (int i = 0; i < down; ++i) {
    const int row = find_bound(grid.rows, down, i), rows = find_bound(grid.rows, down, i + 1) - row;
    for (int j = 0; j < across; ++j) {
      const int column = find_bound(grid.columns, across, j);
      const int columns = find_bound(grid.columns, across, j + 1) - column;
      blocks.push_back({row, column, rows, columns, row * geometry.stride, column * geometry.stride, span(rows),
                        span(columns)});
    }
  }
}

}  // namespace maclip
