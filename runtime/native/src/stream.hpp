// A stream: one frame in, one reading out, with the views refreshed in turns; the twin of stream/stream.py.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "scorer.hpp"
#include "turns.hpp"
#include "view_budget.hpp"

namespace maclip {

class Stream {
 public:
  // `views_per_frame`: a number, MACLIP_VIEWS_ALL or MACLIP_VIEWS_AUTO; `budget` as for ViewBudget.
  Stream(std::shared_ptr<Scorer> scorer, std::uint32_t views_per_frame, double budget);

  // Score the next frame, shown at `time` in seconds.
  void push(const maclip_frame& frame, double time, maclip_result& result, maclip_reading* reading);

 private:
  Turns& follow(const RgbView& frame);
  int limit_views(int views) const;
  void join_columns(std::size_t views);
  void split_columns(std::size_t views);

  std::shared_ptr<Scorer> scorer_;
  std::uint32_t views_per_frame_;
  ViewBudget budget_;

  std::mutex mutex_;
  std::uint64_t frame_ = 0;
  std::optional<Turns> turns_;
  int width_ = 0, height_ = 0;  // of the frames of these turns

  // What one frame needs, kept for the next.
  Preparation preparation_;
  std::vector<int> chosen_;
  std::vector<float> features_, encoded_, all_;  // encoded_ [chosen, columns], all_ [V, columns]
  Cues cues_;
};

}  // namespace maclip
