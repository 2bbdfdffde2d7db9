// How many views to encode a frame so that a stream keeps up: N from measured times; the twin of stream/budget.py, which
// says what the rule is and why it settles.
#pragma once

#include <array>
#include <limits>

namespace maclip {

class ViewBudget {
 public:
  // `seconds`: the budget of a frame; 0: the usual time between frames, the shortest median of all rounds.
  explicit ViewBudget(double seconds) : given_(seconds) {}

  // Views for the next frame; 1 until the first round is over.
  int count() const { return count_; }

  // Notes a frame's time and what it cost, both in seconds, and finds N anew where a round is over.
  void record(double time, double cost, int views);

 private:
  static constexpr int kRound = 10;  // frames

  void conclude(double cost, double budget, int views);
  int allow(double cost, double budget) const;
  void change(int count);

  double given_;
  int count_ = 1;
  double usual_interval_ = std::numeric_limits<double>::infinity();
  double last_ = std::numeric_limits<double>::quiet_NaN();  // time of the frame before
  std::array<double, kRound> intervals_{}, costs_{};
  int interval_count_ = 0, cost_count_ = 0;
  int patience_ = 1;    // rounds before N may rise
  int rounds_ = 0;      // since N changed
  double longest_ = 0;  // of the rounds that count towards a rise
};

}  // namespace maclip
