#include "change.hpp"

#include <algorithm>
#include <cmath>

namespace maclip {
namespace {

constexpr int lines[] = {0, 8};  // in each cell these lines and those below them are read: a quarter
constexpr int cell_bytes = 3 * cell_side;
constexpr float samples = cell_bytes * 2;  // of a cell: its bytes in both lines

// What counts as a change of 1: a brightness of 32 in 0..255, or as much detail again as there was. A
// little is added to the detail so that noise in a plain surface does not count for much.
constexpr float brightness_unit = 32;
constexpr float detail_floor = 8;

unsigned add(const std::uint8_t* values, int count) {
  unsigned sum = 0;
  for (int place = 0; place < count; ++place) sum += values[place];
  return sum;
}

unsigned add_differences(const std::uint8_t* first, const std::uint8_t* second, int count) {
  unsigned sum = 0;
  for (int place = 0; place < count; ++place) {
    sum += static_cast<unsigned>(std::abs(int{first[place]} - int{second[place]}));
  }
  return sum;
}

// np.linspace(0, length - 1, side) cut to whole numbers.
std::vector<int> spread(int length, int side) {
  std::vector<int> places(static_cast<std::size_t>(side), 0);
  if (side == 1) return places;
  const double step = static_cast<double>(length - 1) / (side - 1);
  for (int place = 0; place < side; ++place) {
    places[static_cast<std::size_t>(place)] = static_cast<int>(place * step);
  }
  places.back() = length - 1;
  return places;
}

}  // namespace

Cells::Cells(int height, int width)
  : rows(height / cell_side),
      columns(width / cell_side),
      brightness(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns)),
      detail(brightness.size()),
      log_detail(brightness.size()) {}

void Cells::measure(const RgbView& frame) {
  std::size_t cell = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column, ++cell) {
      // The last pixel that is read of a line has no neighbour on its right.
      const int neighbours = cell_bytes - (column == columns - 1 ? 3 : 0);
      unsigned sum = 0;
      unsigned across = 0;
      unsigned down = 0;
      for (const int line : lines) {
        const std::size_t left = static_cast<std::size_t>(column) * cell_bytes;
        const std::uint8_t* upper = frame.row(row * cell_side + line) + left;
        sum += add(upper, cell_bytes);
        across += add_differences(upper + 3, upper, neighbours);
        down += add_differences(upper, upper + frame.stride, cell_bytes);
      }
      brightness[cell] = static_cast<float>(sum) / samples;
      detail[cell] = static_cast<float>(across) / samples + static_cast<float>(down) / samples;
      log_detail[cell] = std::log1p(detail[cell]);
    }
  }
}

Thumbnails::Thumbnails(const ViewGeometry& geometry, int height, int width)
    : side_(std::max(1, geometry.size / cell_side)),
      view_stride_(geometry.stride),
      grid_(geometry.grid(height, width)),
      details_(static_cast<std::size_t>(grid_.windows()) + 1),
      global_rows_(spread(height / cell_side, side_)),
      global_columns_(spread(width / cell_side, side_)),
      window_rows_(static_cast<std::size_t>(side_)),
      window_columns_(static_cast<std::size_t>(side_)),
      logs_(static_cast<std::size_t>(cells())) {
  cells_.resize(details_.size() * 2 * logs_.size());
}

void Thumbnails::cut(const Cells& cells) {
  const int windows = grid_.windows();
  for (int view = 0; view < windows; ++view) {
    // A window that does not begin at a cell's edge gets the cells nearest to it: they only rank views.
    const int top = view / grid_.columns * view_stride_ / cell_side;
    const int left = view % grid_.columns * view_stride_ / cell_side;
    for (int place = 0; place < side_; ++place) {
      window_rows_[static_cast<std::size_t>(place)] = top + place;
      window_columns_[static_cast<std::size_t>(place)] = left + place;
    }
    cut_view(cells, view, window_rows_.data(), window_columns_.data());
  }
  cut_view(cells, windows, global_rows_.data(), global_columns_.data());
}

void Thumbnails::cut_view(const Cells& cells, int view, const int* rows, const int* columns) {
  float* brightness = cells_.data() + offset(view);
  float* detail = brightness + this->cells();
  float* log = logs_.data();
  for (int row = 0; row < side_; ++row) {
    for (int column = 0; column < side_; ++column) {
      const auto cell = static_cast<std::size_t>(rows[row] * cells.columns + columns[column]);
      *brightness++ = cells.brightness[cell];
      *detail++ = cells.detail[cell];
      *log++ = cells.log_detail[cell];
    }
  }
  details_[static_cast<std::size_t>(view)] =
    add_pairwise(logs_.data(), logs_.size()) / static_cast<float>(this->cells());
}

void Thumbnails::copy_view(const Thumbnails& from, int view) {
  std::copy_n(from.brightness(view), 2 * cells(), cells_.data() + offset(view));
  details_[static_cast<std::size_t>(view)] = from.mean_log_detail(view);
}

double Thumbnails::mean_detail() const {
  double sum = 0;
  for (int view = 0; view < views(); ++view) {
    sum += add_pairwise(detail(view), static_cast<std::size_t>(cells()));
  }
  return sum / (static_cast<double>(views()) * cells());
}

float measure_change(const Thumbnails& before, const Thumbnails& after, int view, float* scratch) {
  const float* old_brightness = before.brightness(view);
  const float* new_brightness = after.brightness(view);
  const float* old_detail = before.detail(view);
  const float* new_detail = after.detail(view);
  const int cells = before.cells();
  for (int cell = 0; cell < cells; ++cell) {
    const float brightness = std::fabs(new_brightness[cell] - old_brightness[cell]) / brightness_unit;
    const float least = std::min(old_detail[cell], new_detail[cell]);
    const float detail = std::fabs(new_detail[cell] - old_detail[cell]) / (least + detail_floor);
    scratch[cell] = brightness + detail;
  }
  return add_pairwise(scratch, static_cast<std::size_t>(cells)) / static_cast<float>(cells);
}

float add_pairwise(const float* values, std::size_t count) {
  if (count < 8) {
    float sum = 0;
    for (std::size_t place = 0; place < count; ++place) sum += values[place];
    return sum;
  }
  if (count <= 128) {
    float sums[8];
    std::copy_n(values, 8, sums);
    std::size_t place = 8;
    for (; place + 8 <= count; place += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += values[place + lane];
    }
    float sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; place < count; ++place) sum += values[place];
    return sum;
  }
  const std::size_t half = count / 2 - count / 2 % 8;
  return add_pairwise(values, half) + add_pairwise(values + half, count - half);
}

}  // namespace maclip
