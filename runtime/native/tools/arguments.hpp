// The command line of maclip-score.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "maclip.h"

// A wrong option, or a bundle or library that cannot be used.
struct Unusable : std::runtime_error {
  using runtime_error::runtime_error;
};

struct Arguments {
  std::string bundle, onnxruntime;
  std::optional<std::string> engine, precision, views;
  unsigned threads = 0, height = 0, width = 0;
  maclip_pixel_format format{};
  maclip_matrix matrix = MACLIP_MATRIX_DEFAULT;
  maclip_range range = MACLIP_RANGE_DEFAULT;
  std::vector<std::string> pictures;

  bool raw() const { return height > 0; }
};

// Throws Unusable for what cannot be meant.
Arguments parse_arguments(int count, char** given);
