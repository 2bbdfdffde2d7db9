// Values as Python writes them, so that messages are the same in both runtimes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "json_value.hpp"

namespace maclip {

inline constexpr std::size_t kShown = 60;  // characters of a value in a message

// repr(value), the first `most` characters of it.
std::string show_value(const JsonValue& value, std::size_t most = kShown);
std::string show_string(std::string_view text, std::size_t most = std::string::npos);

// str(float): the shortest digits that read back as the same number.
std::string show_number(double value);

// f"{value:g}".
std::string show_brief_number(double value);

// str.isprintable(), save that characters not yet assigned count as printable.
bool is_printable(std::string_view text);

// A name out of a file, in a message of one line.
std::string show_name(std::string_view name);

// The position of the first byte that is not UTF-8; npos if all are.
std::size_t find_invalid_utf8(std::string_view text);

// The first `most` characters of UTF-8.
std::string_view cut_text(std::string_view text, std::size_t most);

std::string join(const std::vector<std::string>& words, const char* separator = ", ");

}  // namespace maclip
