#include "pixel_formats.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>

#include "errors.hpp"

namespace maclip {
namespace {

constexpr int fraction_bits = 5;
constexpr std::size_t max_pixels = 114'000'000;  // as many as a picture may have

// Bytes that a row of each plane needs; 0 where the format has no such plane.
using RowBytes = std::array<std::size_t, 3>;

// The number in a field whose type is an enumeration: C lets any be there, and C++ may only look at known ones.
template <typename Enumeration>
int read_number(const Enumeration& field) {
  static_assert(sizeof field == sizeof(int));
  int number;
  std::memcpy(&number, &field, sizeof number);
  return number;
}

RowBytes count_row_bytes(int format, std::size_t width) {
  const std::size_t pairs = (width + 1) / 2;
  switch (format) {
    case MACLIP_FORMAT_RGB:
    case MACLIP_FORMAT_BGR:
      return {3 * width, 0, 0};
    case MACLIP_FORMAT_RGBA:
    case MACLIP_FORMAT_BGRA:
    case MACLIP_FORMAT_RGBX:
    case MACLIP_FORMAT_BGRX:
      return {4 * width, 0, 0};
    case MACLIP_FORMAT_GRAY:
      return {width, 0, 0};
    case MACLIP_FORMAT_NV12:
      return {width, 2 * pairs, 0};
    case MACLIP_FORMAT_I420:
      return {width, pairs, pairs};
    case MACLIP_FORMAT_YUYV:
      return {4 * pairs, 0, 0};
  }
  throw ArgumentError("unknown pixel format " + std::to_string(format), "use a MACLIP_FORMAT");
}

std::string name_plane(std::size_t plane) { return "plane " + std::to_string(plane) + " of the frame"; }

// BT.709 for high definition, which begins at 1280 columns or above 576 lines, where BT.601's formats end.
maclip_matrix assume_matrix(const maclip_frame& frame) {
  if (frame.matrix != MACLIP_MATRIX_DEFAULT) return frame.matrix;
  return frame.width >= 1280 || frame.height > 576 ? MACLIP_MATRIX_BT709 : MACLIP_MATRIX_BT601;
}

std::array<std::uint8_t, 256> stretch_limited_range() {
  std::array<std::uint8_t, 256> table{};
  for (int level = 0; level < 256; ++level) {
    const double stretched = std::nearbyint((level - 16.0) * (255.0 / 219.0));
    table[static_cast<std::size_t>(level)] = static_cast<std::uint8_t>(std::clamp(stretched, 0.0, 255.0));
  }
  return table;
}

// A colour on white, rounded as Pillow's alpha_composite does it.
std::uint8_t lay_on_white(unsigned colour, unsigned alpha) {
  constexpr unsigned extra_bits = 7;
  const unsigned blend = ((colour * alpha + 255 * (255 - alpha)) << extra_bits) + (0x80u << extra_bits);
  return static_cast<std::uint8_t>((((blend >> 8) + blend) >> 8) >> extra_bits);
}

// Packed colours: where red and blue lie in a pixel, how many bytes it has, and whether alpha counts.
template <int red, int blue, int pixel_bytes, bool has_alpha>
void reorder(const maclip_frame& frame, std::uint8_t* out) {
  for (std::size_t y = 0; y < frame.height; ++y) {
    const std::uint8_t* pixel = frame.planes[0] + y * frame.strides[0];
    for (std::size_t x = 0; x < frame.width; ++x, pixel += pixel_bytes, out += 3) {
      if constexpr (has_alpha) {
        out[0] = lay_on_white(pixel[red], pixel[3]);
        out[1] = lay_on_white(pixel[1], pixel[3]);
        out[2] = lay_on_white(pixel[blue], pixel[3]);
      } else {
        out[0] = pixel[red];
        out[1] = pixel[1];
        out[2] = pixel[blue];
      }
    }
  }
}

// What each luma and chroma value adds to each colour, in 1/32; luma's holds the rounding half.
struct ColourTables {
  using Table = std::array<std::int16_t, 256>;
  Table luma, red, blue, green_from_blue, green_from_red;

  ColourTables(maclip_matrix matrix, maclip_range range);
};

ColourTables::ColourTables(maclip_matrix matrix, maclip_range range) {
  // Weights of red and blue in luma: BT.601-7 (2.5.1), BT.709-6 (3.2), BT.2020-2 (table 4).
  const double red_weight = matrix == MACLIP_MATRIX_BT601 ? 0.299 : matrix == MACLIP_MATRIX_BT709 ? 0.2126 : 0.2627;
  const double blue_weight = matrix == MACLIP_MATRIX_BT601 ? 0.114 : matrix == MACLIP_MATRIX_BT709 ? 0.0722 : 0.0593;
  const double green_weight = 1 - red_weight - blue_weight;
  const bool limited = range == MACLIP_RANGE_LIMITED;
  const double black = limited ? 16 : 0;
  const double luma_span = limited ? 219 : 255;
  const double chroma_span = limited ? 224 : 255;
  // The order of these operations is Python's, so that the roundings are.
  const auto fix = [](double term) {
    return static_cast<std::int16_t>(std::nearbyint(term * (255 * (1 << fraction_bits))));
  };
  for (int level = 0; level < 256; ++level) {
    const auto place = static_cast<std::size_t>(level);
    const double y = (level - black) / luma_span;
    const double c = (level - 128.0) / chroma_span;
    luma[place] = fix(y + 0.5 / 255);
    red[place] = fix(2 * (1 - red_weight) * c);
    blue[place] = fix(2 * (1 - blue_weight) * c);
    green_from_blue[place] = fix(-2 * (1 - blue_weight) * blue_weight / green_weight * c);
    green_from_red[place] = fix(-2 * (1 - red_weight) * red_weight / green_weight * c);
  }
}

// The tables of a frame's matrix and range, made once.
const ColourTables& find_tables(const maclip_frame& frame) {
  constexpr maclip_range limited = MACLIP_RANGE_LIMITED;
  constexpr maclip_range full = MACLIP_RANGE_FULL;
  static const std::array<ColourTables, 6> all{{{MACLIP_MATRIX_BT601, limited},
                                                {MACLIP_MATRIX_BT601, full},
                                                {MACLIP_MATRIX_BT709, limited},
                                                {MACLIP_MATRIX_BT709, full},
                                                {MACLIP_MATRIX_BT2020, limited},
                                                {MACLIP_MATRIX_BT2020, full}}};
  const int place = 2 * (assume_matrix(frame) - MACLIP_MATRIX_BT601) + (frame.range == full ? 1 : 0);
  return all[static_cast<std::size_t>(place)];
}

std::uint8_t finish(int colour) {
  return static_cast<std::uint8_t>(std::clamp(colour >> fraction_bits, 0, 255));
}

// A row of YCbCr: samples lie so many bytes apart. Chroma is repeated for two columns, not interpolated.
template <int luma_step, int chroma_step>
void convert_row(const std::uint8_t* luma, const std::uint8_t* blue, const std::uint8_t* red, std::size_t width,
                 const ColourTables& tables, std::uint8_t* out) {
  for (std::size_t x = 0; x < width; x += 2, blue += chroma_step, red += chroma_step) {
    const int red_term = tables.red[*red];
    const int green_term = tables.green_from_blue[*blue] + tables.green_from_red[*red];
    const int blue_term = tables.blue[*blue];
    const std::size_t columns = std::min<std::size_t>(2, width - x);
    for (std::size_t column = 0; column < columns; ++column, luma += luma_step, out += 3) {
      const int level = tables.luma[*luma];
      out[0] = finish(level + red_term);
      out[1] = finish(level + green_term);
      out[2] = finish(level + blue_term);
    }
  }
}

// Gray is of full range unless it is said: limited range is stretched.
void convert_gray(const maclip_frame& frame, std::uint8_t* out) {
  static const std::array<std::uint8_t, 256> stretched = stretch_limited_range();
  const bool limited = frame.range == MACLIP_RANGE_LIMITED;
  for (std::size_t y = 0; y < frame.height; ++y) {
    const std::uint8_t* row = frame.planes[0] + y * frame.strides[0];
    for (std::size_t x = 0; x < frame.width; ++x, out += 3) {
      out[0] = out[1] = out[2] = limited ? stretched[row[x]] : row[x];
    }
  }
}

void convert_yuv(const maclip_frame& frame, std::uint8_t* out) {
  const ColourTables& tables = find_tables(frame);
  const std::size_t width = frame.width;
  for (std::size_t y = 0; y < frame.height; ++y, out += 3 * width) {
    const std::uint8_t* luma = frame.planes[0] + y * frame.strides[0];
    if (frame.format == MACLIP_FORMAT_YUYV) {
      convert_row<2, 4>(luma, luma + 1, luma + 3, width, tables, out);
      continue;
    }
    const std::uint8_t* blue = frame.planes[1] + y / 2 * frame.strides[1];
    if (frame.format == MACLIP_FORMAT_NV12) {
      convert_row<1, 2>(luma, blue, blue + 1, width, tables, out);
    } else {
      convert_row<1, 1>(luma, blue, frame.planes[2] + y / 2 * frame.strides[2], width, tables, out);
    }
  }
}

void convert(const maclip_frame& frame, std::uint8_t* out) {
  switch (frame.format) {
    case MACLIP_FORMAT_RGB:
      return reorder<0, 2, 3, false>(frame, out);
    case MACLIP_FORMAT_BGR:
      return reorder<2, 0, 3, false>(frame, out);
    case MACLIP_FORMAT_RGBA:
      return reorder<0, 2, 4, true>(frame, out);
    case MACLIP_FORMAT_BGRA:
      return reorder<2, 0, 4, true>(frame, out);
    case MACLIP_FORMAT_RGBX:
      return reorder<0, 2, 4, false>(frame, out);
    case MACLIP_FORMAT_BGRX:
      return reorder<2, 0, 4, false>(frame, out);
    case MACLIP_FORMAT_GRAY:
      return convert_gray(frame, out);
    case MACLIP_FORMAT_NV12:
    case MACLIP_FORMAT_I420:
    case MACLIP_FORMAT_YUYV:
      return convert_yuv(frame, out);
  }
}

}  // namespace

void check_frame(const maclip_frame& frame) {
  const RowBytes needed = count_row_bytes(read_number(frame.format), frame.width);
  if (frame.width == 0 || frame.height == 0) {
    throw FrameError("a frame of " + std::to_string(frame.width) + " x " + std::to_string(frame.height) + " pixels",
                     "its sizes are at least 1");
  }
  for (std::size_t plane = 0; plane < needed.size() && needed[plane] != 0; ++plane) {
    if (frame.planes[plane] == nullptr) {
      throw ArgumentError(name_plane(plane) + " is NULL", "give each plane of its format");
    }
    if (frame.strides[plane] < needed[plane]) {
      throw ArgumentError(name_plane(plane) + " has a stride of " + std::to_string(frame.strides[plane]) + " bytes",
                          "a row of it has " + std::to_string(needed[plane]));
    }
  }
  const int matrix = read_number(frame.matrix);
  if (matrix < MACLIP_MATRIX_DEFAULT || matrix > MACLIP_MATRIX_BT2020) {
    throw ArgumentError("unknown matrix " + std::to_string(matrix), "use a MACLIP_MATRIX");
  }
  const int range = read_number(frame.range);
  if (range < MACLIP_RANGE_DEFAULT || range > MACLIP_RANGE_FULL) {
    throw ArgumentError("unknown range " + std::to_string(range), "use a MACLIP_RANGE");
  }
  if (static_cast<std::size_t>(frame.width) * frame.height > max_pixels) {
    throw FrameError("the frame has more than 114 megapixels", "scale it down first");
  }
}

RgbView convert_to_rgb(const maclip_frame& frame, std::vector<std::uint8_t>& storage) {
  check_frame(frame);
  const int width = static_cast<int>(frame.width);
  const int height = static_cast<int>(frame.height);
  if (frame.format == MACLIP_FORMAT_RGB) return {frame.planes[0], frame.strides[0], width, height};
  const std::size_t row_bytes = 3 * static_cast<std::size_t>(frame.width);
  if (storage.size() < row_bytes * frame.height) storage.resize(row_bytes * frame.height);
  convert(frame, storage.data());
  return {storage.data(), row_bytes, width, height};
}

}  // namespace maclip
