// Paths and files: regular ones only, never more of them than was said to be there; the twin of bundle/reading.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace maclip {

// A path without empty and `.` parts, as Python's pathlib writes it.
std::string tidy_path(std::string_view path);
std::string join_path(const std::string& folder, std::string_view name);
// The last part of a path.
std::string name_of(const std::string& path);

// A path with every link in it followed, absolute; what is not there stays as it is. BundleError for a loop.
std::string resolve_path(const std::string& path);

bool is_directory(const std::string& path);

// The error of a file that the system does not give us.
[[noreturn]] void refuse_unreadable(const std::string& path, int error_number);

// A file's bytes. BundleError if it is no regular file or larger than `most`; nothing where there is no such file.
// A FIFO would never end and a device never stop, so nothing is read before it is known to be neither.
std::optional<std::string> read_regular_file(const std::string& path, std::int64_t most);

}  // namespace maclip
