#include "turns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace maclip {
namespace {

// The constants of turns.py. Changes are in the unit of `measure_change`.
constexpr float sudden = 0.15f;       // less than this from one frame to the next is never sudden
constexpr float sudden_ratio = 3;     // sudden is this many times the view's motion of late
constexpr float motion_gain = 0.3f;   // of the newest frame in the motion of late
constexpr float most_noise = 0.25f;   // noise of a standard deviation of 40 in 0..255 moves photographs by less
constexpr float floor_rise = 1.02f;   // a frame: the estimate of the noise falls at once and rises slowly
constexpr float full_change = 0.6f;   // a change from which on more does not matter
constexpr int patience = 4;           // rounds after which a view comes before all others
constexpr float forget = 0.6f;        // of the last frame's knowledge of what detail does to the values
constexpr double forget_squares = 0.6;
constexpr double ridge = 0.005;       // sum of squared changes of detail from which on something is concluded
constexpr double reach = 1;           // windows: how far a fresh window speaks for the stale ones around it
constexpr float far_weight = 0.01f;   // how much it speaks for those further away
constexpr float global_nearness = static_cast<float>(1e-3 * 0.01);

std::size_t at(int view) { return static_cast<std::size_t>(view); }

// First the global view, then the windows in steps of the golden section, each of which falls into one of the
// largest gaps that those before it left.
std::vector<int> order_views(int views) {
  const int windows = views - 1;
  int step = std::max(1, static_cast<int>(std::lround(windows * (std::sqrt(5.0) - 1) / 2)));
  while (std::gcd(step, windows) != 1) ++step;
  std::vector<int> place(at(views), 0);
  for (std::int64_t turn = 0; turn < windows; ++turn) {
    place[static_cast<std::size_t>((windows / 2 + step * turn) % windows)] = static_cast<int>(turn) + 1;
  }
  return place;
}

// How much a window speaks for another one, by how many rows and columns lie between them: a Gaussian of the
// distance in the grid.
std::vector<float> measure_nearness(const Grid& grid) {
  std::vector<float> nearness(at(grid.windows()));
  for (int place = 0; place < grid.windows(); ++place) {
    const double down = place / grid.columns;
    const double across = place % grid.columns;
    const double near = std::exp(-(down * down + across * across) / (2 * reach * reach));
    nearness[at(place)] = far_weight + static_cast<float>(near);
  }
  return nearness;
}

// The median as NumPy takes it: of an even number, half the sum of the two in the middle.
float find_median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

}  // namespace

Turns::Turns(const ViewGeometry& geometry, int height, int width)
    : views_(geometry.count(height, width)),
      grid_(geometry.grid(height, width)),
      cells_(height, width),
      now_(geometry, height, width),
      before_(now_),
      then_(now_),
      order_(order_views(views_)),
      nearness_(measure_nearness(grid_)),
      refreshed_(at(views_), -1),
      stale_(at(views_), 1),
      // Unknown until there are two frames.
      floor_(at(views_), most_noise),
      motion_(at(views_)),
      ranked_(at(views_)),
      step_(at(views_)),
      sorted_(at(views_)),
      urgency_(at(views_)),
      waited_(at(views_)),
      cell_changes_(at(now_.cells())) {}

double Turns::fresh() const {
  const auto stale = std::count(stale_.begin(), stale_.end(), 1);
  return 1 - static_cast<double>(stale) / views_;
}

double Turns::detail() const { return begun_ ? now_.mean_detail() : 0; }

bool Turns::choose(const RgbView& frame, int count, std::vector<int>& chosen) {
  std::swap(before_, now_);
  cells_.measure(frame);
  now_.cut(cells_);
  bool scene = true;
  if (begun_) {
    scene = mark_stale();
  } else {
    for (int view = 0; view < views_; ++view) then_.copy_view(now_, view);
    begun_ = true;
  }
  count = std::min(count, views_);
  rank_views(count);
  chosen.assign(ranked_.begin(), ranked_.begin() + count);
  std::sort(chosen.begin(), chosen.end());
  return scene;
}

void Turns::settle(const std::vector<int>& chosen, const float* values, int columns, float* all) {
  if (values_.empty()) {
    columns_ = columns;
    values_.assign(at(views_) * at(columns), 0);
    detail_by_value_.assign(at(columns), 0);
    slope_.assign(at(columns), 0);
  }
  learn(chosen, values);
  for (const int view : chosen) {
    std::copy_n(values, columns, values_.begin() + view * columns);
    values += columns;
    then_.copy_view(now_, view);
    refreshed_[at(view)] = frame_;
    stale_[at(view)] = 0;
  }
  ++frame_;
  for (int column = 0; column < columns; ++column) {
    slope_[at(column)] = detail_by_value_[at(column)] / static_cast<float>(detail_squared_ + ridge);
  }
  for (int view = 0; view < views_; ++view) {
    const float moved = now_.mean_log_detail(view) - then_.mean_log_detail(view);  // 0 where encoded now
    for (int column = 0; column < columns; ++column) {
      const std::size_t place = at(view) * at(columns) + at(column);
      all[place] = values_[place] + moved * slope_[at(column)];
    }
  }
  fill_stale(all);
}

// Mark the views that change suddenly; all of them where a scene begins, which is returned.
bool Turns::mark_stale() {
  bool moved = false;
  for (int view = 0; view < views_; ++view) {
    step_[at(view)] = measure_change(before_, now_, view, cell_changes_.data());
    moved = moved || step_[at(view)] != 0;
  }
  if (!moved) return false;  // the same frame once more says nothing about noise
  int changed = 0;
  for (std::size_t view = 0; view < at(views_); ++view) {
    floor_[view] = std::min(floor_[view] * floor_rise, step_[view]);
    step_[view] -= floor_[view];
    if (step_[view] > std::max(sudden, sudden_ratio * motion_[view])) ++changed;
  }
  if (2 * changed > views_) {
    std::fill(stale_.begin(), stale_.end(), std::uint8_t{1});
    return true;
  }
  for (std::size_t view = 0; view < at(views_); ++view) {
    if (step_[view] > std::max(sudden, sudden_ratio * motion_[view])) stale_[view] = 1;
    motion_[view] += motion_gain * (step_[view] - motion_[view]);
  }
  return false;
}

// Put the `count` most urgent views first in `ranked_`, in no order.
void Turns::rank_views(int count) {
  for (int view = 0; view < views_; ++view) {
    const float change = measure_change(then_, now_, view, cell_changes_.data());
    step_[at(view)] = std::max(change - floor_[at(view)], 0.0f);
  }
  sorted_ = step_;
  // What moves all views alike, a defocus, is no reason to prefer those with the most detail.
  const float median = find_median(sorted_);
  const double longest = static_cast<double>(patience * static_cast<std::int64_t>(views_)) / count;
  for (std::size_t view = 0; view < at(views_); ++view) {
    const std::int64_t age = frame_ - refreshed_[view];
    const float change = std::max(step_[view] - median, 0.0f);
    const float weight = 1 + std::min(change / full_change, 1.0f);
    urgency_[view] = stale_[view] ? std::numeric_limits<double>::infinity()
                                      : static_cast<double>(age) * static_cast<double>(weight);
    waited_[view] = static_cast<double>(age) > longest ? age : 0;
  }
  std::iota(ranked_.begin(), ranked_.end(), 0);
  const auto comes_first = [this](int first, int second) {
    const std::size_t a = at(first);
    const std::size_t b = at(second);
    if (waited_[a] != waited_[b]) return waited_[a] > waited_[b];
    if (urgency_[a] != urgency_[b]) return urgency_[a] > urgency_[b];
    return order_[a] < order_[b];
  };
  if (count < views_) {
    std::nth_element(ranked_.begin(), ranked_.begin() + count, ranked_.end(), comes_first);
  }
}

// How far values go when detail moves: least squares through 0, forgetting.
void Turns::learn(const std::vector<int>& chosen, const float* values) {
  double squared = 0;
  std::fill(slope_.begin(), slope_.end(), 0.0f);
  for (const int view : chosen) {
    if (!stale_[at(view)]) {
      const float moved = now_.mean_log_detail(view) - then_.mean_log_detail(view);
      const float* last = values_.data() + view * columns_;
      for (int column = 0; column < columns_; ++column) slope_[at(column)] += moved * (values[column] - last[column]);
      squared += static_cast<double>(moved) * static_cast<double>(moved);
    }
    values += columns_;
  }
  for (int column = 0; column < columns_; ++column) {
    detail_by_value_[at(column)] = forget * detail_by_value_[at(column)] + slope_[at(column)];
  }
  detail_squared_ = forget_squares * detail_squared_ + squared;
}

// Replace the values of stale views by those of the fresh windows around them.
void Turns::fill_stale(float* all) const {
  for (int view = 0; view < views_; ++view) {
    if (!stale_[at(view)]) continue;
    float* filled = all + view * columns_;
    std::fill_n(filled, columns_, 0.0f);
    float total = 0;
    for (int other = 0; other < views_; ++other) {
      if (!stale_[at(other)]) total += find_nearness(view, other);
    }
    for (int other = 0; other < views_; ++other) {
      if (stale_[at(other)]) continue;
      const float weight = find_nearness(view, other) / total;
      const float* values = all + other * columns_;
      for (int column = 0; column < columns_; ++column) filled[column] += weight * values[column];
    }
  }
}

// How much a view speaks for another one.
float Turns::find_nearness(int view, int other) const {
  // The global view shows the frame at another scale, and speaks only where no window is fresh.
  if (other == views_ - 1) return global_nearness;
  if (view == views_ - 1) return far_weight;
  const int down = std::abs(view / grid_.columns - other / grid_.columns);
  const int across = std::abs(view % grid_.columns - other % grid_.columns);
  return nearness_[at(down * grid_.columns + across)];
}

}  // namespace maclip
