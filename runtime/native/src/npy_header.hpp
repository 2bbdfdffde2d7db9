// The header of a `.npy` file, version 1.0, as NumPy's format describes it (numpy.lib.format).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace maclip {

struct NpyHeader {
  std::string descr;  // the data type, such as "<f4"
  bool in_columns = false;
  std::vector<std::int64_t> shape;
  std::size_t length = 0;  // bytes of the header, after which the values begin
};

// BundleError for anything else than a header of at most `most` bytes.
NpyHeader read_npy_header(std::string_view content, std::size_t most);

// A data type and a shape as NumPy and Python write them.
std::string show_dtype(const std::string& descr);
std::string show_npy_shape(const std::vector<std::int64_t>& shape);

}  // namespace maclip
