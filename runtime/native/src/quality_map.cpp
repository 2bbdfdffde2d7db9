#include "quality_map.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace maclip {
namespace {

const double kPi = std::acos(-1.0);

// Weight of each of `count` windows in each cell along one axis, [cells, count]; rows sum to 1.
std::vector<double> weigh_windows(int count, int cells, const ViewGeometry& geometry, int cell) {
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(cells) * static_cast<std::size_t>(count));
  for (int row = 0; row < cells; ++row) {
    const double place = (row + 0.5) * cell;
    double sum = 0;
    for (int window = 0; window < count; ++window) {
      const double centre = window * geometry.stride + geometry.size / 2.0;
      const double distance = std::abs(place - centre) / geometry.size;
      const double root = std::cos(kPi * distance);
      weights.push_back(distance < 0.5 ? root * root : 0);
      sum += weights.back();
    }
    for (auto weight = weights.end() - count; weight != weights.end(); ++weight) *weight /= sum;
  }
  return weights;
}

}  // namespace

MapLayout lay_out_map(const ViewGeometry& geometry, const Grid& grid) {
  const int cell = std::gcd(geometry.size, geometry.stride);
  const auto count = [&](int windows) { return ((windows - 1) * geometry.stride + geometry.size) / cell; };
  return {count(grid.rows), count(grid.columns), cell};
}

void blend_windows(const float* values, const ViewGeometry& geometry, const Grid& grid, float* map) {
  const MapLayout layout = lay_out_map(geometry, grid);
  const auto down = weigh_windows(grid.rows, layout.rows, geometry, layout.cell);
  const auto across = weigh_windows(grid.columns, layout.columns, geometry, layout.cell);
  const auto [lowest, highest] = std::minmax_element(values, values + grid.windows());
  const auto rows = static_cast<std::size_t>(grid.rows), columns = static_cast<std::size_t>(grid.columns);
  std::vector<double> blended_rows(columns);
  for (std::size_t row = 0; row < static_cast<std::size_t>(layout.rows); ++row) {
    std::fill(blended_rows.begin(), blended_rows.end(), 0.0);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        // Blending what exceeds the minimum keeps constants exact.
        blended_rows[j] += down[row * rows + i] * static_cast<double>(values[i * columns + j] - *lowest);
    for (std::size_t column = 0; column < static_cast<std::size_t>(layout.columns); ++column) {
      double blended = 0;
      for (std::size_t j = 0; j < columns; ++j) blended += blended_rows[j] * across[column * columns + j];
      *map++ = std::clamp(static_cast<float>(static_cast<double>(*lowest) + blended), *lowest, *highest);
    }
  }
}

}  // namespace maclip
