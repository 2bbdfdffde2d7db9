#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <vector>

#include "errors.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

constexpr int kMostLinks = 40;  // followed in one path, as Linux does

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start < path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (end > start && path.substr(start, end - start) != ".") parts.emplace_back(path.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::string explain(int error_number) {
  // The thread-safe strerror; Python shows the same words in the C locale.
  std::array<char, 256> buffer{};
  return strerror_r(error_number, buffer.data(), buffer.size());
}

}  // namespace

std::string tidy_path(std::string_view path) {
  const std::string root = path.substr(0, 1) == "/" ? "/" : "";
  const auto tidy = root + join(split_path(path), "/");
  return tidy.empty() ? "." : tidy;
}

std::string join_path(const std::string& folder, std::string_view name) {
  if (name.substr(0, 1) == "/") return tidy_path(name);
  return tidy_path(folder + "/" + std::string(name));
}

std::string name_of(const std::string& path) {
  const auto parts = split_path(path);
  return parts.empty() ? "" : parts.back();
}

std::string resolve_path(const std::string& path) {
  std::string resolved;
  if (path.substr(0, 1) != "/") {
    std::array<char, PATH_MAX> here;
    if (getcwd(here.data(), here.size()) == nullptr) refuse_unreadable(path, errno);
    resolved = tidy_path(here.data());
  }
  if (resolved == "/") resolved.clear();
  const auto parts = split_path(path);
  std::deque<std::string> rest(parts.begin(), parts.end());
  int links = 0;
  while (!rest.empty()) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == "..") {
      resolved.erase(std::min(resolved.rfind('/'), resolved.size()));
      continue;
    }
    const std::string next = resolved + "/" + part;
    std::array<char, PATH_MAX> target;
    const ssize_t length = readlink(next.c_str(), target.data(), target.size());
    if (length < 0) {
      resolved = next;
      continue;
    }
    if (++links > kMostLinks)
      throw BundleError(path + ": not readable (Symlink loop from " + show_string(path) + ")");
    const std::string_view where(target.data(), static_cast<std::size_t>(length));
    if (where.substr(0, 1) == "/") resolved.clear();
    const auto more = split_path(where);
    rest.insert(rest.begin(), more.begin(), more.end());
  }
  return resolved.empty() ? "/" : resolved;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void refuse_unreadable(const std::string& path, int error_number) {
  throw BundleError(path + ": not readable (" + explain(error_number) + ")");
}

std::optional<std::string> read_regular_file(const std::string& path, std::int64_t most) {
  // Without O_NONBLOCK a FIFO that nobody writes to would hold up the opening itself.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    refuse_unreadable(path, errno);
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) refuse_unreadable(path, errno);
  if (S_ISDIR(status.st_mode)) refuse_unreadable(path, EISDIR);
  if (!S_ISREG(status.st_mode)) throw BundleError(path + ": not a regular file", "do not use this bundle");
  if (status.st_size > most)
    throw BundleError(path + ": " + std::to_string(status.st_size) + " bytes, more than the " +
                          std::to_string(most) + " it may have",
                      "copy or export the bundle again");
  std::string data(static_cast<std::size_t>(status.st_size) + 1, '\0');  // one more: it may have grown since
  std::size_t have = 0;
  while (have < data.size()) {
    const ssize_t got = read(file.get(), data.data() + have, data.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse_unreadable(path, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  if (have > static_cast<std::size_t>(status.st_size))
    throw BundleError(path + ": grows while it is read", "wait until it is written");
  data.resize(have);
  return data;
}

}  // namespace maclip
