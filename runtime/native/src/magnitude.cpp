#include "magnitude.hpp"

#include <cmath>

namespace maclip {
namespace {

constexpr float kStdFloor = 1e-6F;  // the published method's guard in the denominator

}  // namespace

float measure_magnitude(const float* features, std::size_t count, double boxcox_lambda) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(std::abs(features[i]));
  const double mean = sum / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double off = static_cast<double>(std::abs(features[i])) - mean;
    squares += off * off;
  }
  const auto spread = static_cast<float>(std::sqrt(squares / static_cast<double>(count - 1)));
  const auto lambda = static_cast<float>(boxcox_lambda);
  double total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float log_term = std::log1p(std::abs(features[i]) / (spread + kStdFloor));
    // expm1 keeps the digits that `(m + 1)^lambda - 1` loses as lambda nears 0
    total += static_cast<double>(boxcox_lambda == 0 ? log_term : std::expm1(lambda * log_term) / lambda);
  }
  return static_cast<float>(total / static_cast<double>(count));
}

}  // namespace maclip
