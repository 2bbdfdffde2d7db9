#include "view_budget.hpp"

#include <algorithm>
#include <cmath>

namespace maclip {
namespace {

constexpr double kAim = 0.8;  // of the budget
constexpr int kMostRounds = 32;
constexpr double kWorthIt = 1.1;  // times N: less is no reason to rise

}  // namespace

void ViewBudget::record(double time, double cost, int views) {
  if (time > last_) intervals_[static_cast<std::size_t>(interval_count_++)] = time - last_;  // not of NaN
  last_ = time;
  count_ = std::min(count_, views);
  costs_[static_cast<std::size_t>(cost_count_++)] = cost;
  if (cost_count_ < kRound) return;
  if (interval_count_ > 0) {
    std::sort(intervals_.begin(), intervals_.begin() + interval_count_);
    const auto middle = static_cast<std::size_t>(interval_count_ / 2);
    const double median =
        interval_count_ % 2 == 1 ? intervals_[middle] : (intervals_[middle - 1] + intervals_[middle]) / 2;
    usual_interval_ = std::min(usual_interval_, median);
  }
  std::sort(costs_.begin(), costs_.end());
  const double usual_cost = costs_[kRound - 2];  // the second longest: one hiccup is not heeded
  interval_count_ = cost_count_ = 0;
  const double budget = given_ > 0 ? given_ : usual_interval_;
  if (std::isfinite(budget)) conclude(usual_cost, budget, views);
}

void ViewBudget::conclude(double cost, double budget, int views) {
  ++rounds_;
  longest_ = std::max(longest_, cost);
  if (cost > budget && count_ > 1) {
    patience_ = std::min(2 * patience_, kMostRounds);
    change(std::max(1, allow(cost, budget)));
  } else if (rounds_ >= patience_) {
    const int allowed = std::min(allow(longest_, budget), views);
    change(allowed >= kWorthIt * count_ ? allowed : count_);
  }
}

int ViewBudget::allow(double cost, double budget) const {
  return static_cast<int>(std::min(count_ * kAim * budget / std::max(cost, 1e-9), 1e9));
}

void ViewBudget::change(int count) {
  count_ = count;
  rounds_ = 0;
  longest_ = 0;
}

}  // namespace maclip
