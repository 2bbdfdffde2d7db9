#include "stream.hpp"

#include <algorithm>
#include <chrono>

#include "results.hpp"

namespace maclip {
namespace {

constexpr std::size_t kOwnColumns = 4;  // score, similarity, magnitude, weight; the attributes follow

}  // namespace

Stream::Stream(std::shared_ptr<Scorer> scorer, std::uint32_t views_per_frame, double budget)
    : scorer_(std::move(scorer)), views_per_frame_(views_per_frame), budget_(budget) {}

void Stream::push(const maclip_frame& frame, double time, maclip_result& result, maclip_reading* reading) {
  using Clock = std::chrono::steady_clock;
  const std::lock_guard lock(mutex_);
  const auto start = Clock::now();
  const std::uint64_t number = frame_++;
  const PreparedFrame prepared = preparation_.prepare(frame, scorer_->method().views.size);
  Turns& turns = follow(prepared.frame);
  const auto views = static_cast<std::size_t>(turns.views());
  check_room(result, views, scorer_->pairs());
  const bool scene = turns.choose(prepared.frame, limit_views(turns.views()), chosen_);
  scorer_->encode(prepared.frame, chosen_, features_);
  scorer_->score_views(features_, chosen_.size(), cues_);
  join_columns(chosen_.size());
  const std::size_t columns = kOwnColumns + scorer_->pairs();
  all_.resize(views * columns);
  turns.settle(chosen_, encoded_.data(), static_cast<int>(columns), all_.data());
  split_columns(views);
  if (views_per_frame_ == MACLIP_VIEWS_AUTO)
    budget_.record(time, std::chrono::duration<double>(Clock::now() - start).count(), turns.views());
  fill_result(prepared, cues_, scorer_->pairs(), result);
  if (reading == nullptr) return;
  reading->frame = number;
  reading->time = time;
  reading->refreshed = static_cast<std::uint32_t>(chosen_.size());
  reading->scene = scene ? 1 : 0;
  reading->fresh = static_cast<float>(turns.fresh());
  reading->detail = static_cast<float>(turns.detail());
}

Turns& Stream::follow(const RgbView& frame) {
  if (!turns_ || frame.width != width_ || frame.height != height_) {
    turns_.emplace(scorer_->method().views, frame.height, frame.width);
    width_ = frame.width;
    height_ = frame.height;
  }
  return *turns_;
}

int Stream::limit_views(int views) const {
  if (views_per_frame_ == MACLIP_VIEWS_ALL) return views;
  if (views_per_frame_ == MACLIP_VIEWS_AUTO) return std::min(budget_.count(), views);
  return static_cast<int>(std::min<std::uint32_t>(views_per_frame_, static_cast<std::uint32_t>(views)));
}

void Stream::join_columns(std::size_t views) {
  const std::size_t pairs = scorer_->pairs();
  encoded_.resize(views * (kOwnColumns + pairs));
  float* out = encoded_.data();
  for (std::size_t view = 0; view < views; ++view) {
    for (const auto* values : {&cues_.score, &cues_.similarity, &cues_.magnitude, &cues_.weight})
      *out++ = (*values)[view];
    out = std::copy_n(cues_.attributes.data() + view * pairs, pairs, out);
  }
}

void Stream::split_columns(std::size_t views) {
  const std::size_t pairs = scorer_->pairs();
  cues_.resize(views, pairs);
  const float* from = all_.data();
  for (std::size_t view = 0; view < views; ++view) {
    for (auto* values : {&cues_.score, &cues_.similarity, &cues_.magnitude, &cues_.weight}) (*values)[view] = *from++;
    std::copy_n(from, pairs, cues_.attributes.data() + view * pairs);
    from += pairs;
  }
}

}  // namespace maclip
