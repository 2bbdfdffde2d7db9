#include "embeddings.hpp"

#include <zip.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "errors.hpp"
#include "npy_header.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

const char kMember[] = "embeddings.npy";
constexpr std::uint64_t kLargest = 1 << 26;  // bytes unpacked: some 16,000 pairs of 512 features
constexpr std::uint64_t kHeader = 1 << 12;   // bytes; NumPy writes 128
// Of a length; float32 keeps 1e-7, and embeddings made in half precision 5e-4.
constexpr double kUnitTolerance = 1e-3;

BundleError refuse_unreadable(const std::string& reason) {
  return BundleError("not readable (" + show_string(cut_text(reason, 100)) + ")");
}

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;
using Member = std::unique_ptr<zip_file_t, CloseMember>;

class ErrorOfZip {
 public:
  ErrorOfZip() { zip_error_init(&error_); }
  ~ErrorOfZip() { zip_error_fini(&error_); }
  ErrorOfZip(const ErrorOfZip&) = delete;
  ErrorOfZip& operator=(const ErrorOfZip&) = delete;
  zip_error_t* get() { return &error_; }
  std::string text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_;
};

Archive open_archive(std::string_view data) {
  if (data.empty()) throw refuse_unreadable("File is not a zip file");  // to libzip an archive of nothing
  ErrorOfZip error;
  zip_source_t* source = zip_source_buffer_create(data.data(), data.size(), 0, error.get());
  if (source == nullptr) throw refuse_unreadable(error.text());
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, error.get());
  if (archive == nullptr) {
    zip_source_free(source);
    throw refuse_unreadable(error.text());
  }
  return Archive(archive);
}

// What Python shows of a list of names.
std::string show_names(zip_t* archive, zip_int64_t count) {
  JsonArray names;
  for (zip_int64_t i = 0; i < count && i < static_cast<zip_int64_t>(kShown); ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    names.emplace_back(std::string(name == nullptr ? "" : name));
  }
  return show_value(names);
}

// Up to `most` bytes of a member from where it is; whatever its headers say.
std::string read_bytes(zip_file_t* member, std::size_t most) {
  std::string bytes(most, '\0');
  std::size_t have = 0;
  while (have < most) {
    const zip_int64_t got = zip_fread(member, bytes.data() + have, most - have);
    if (got < 0) throw refuse_unreadable(zip_file_strerror(member));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::string show_shape(std::size_t pairs, std::size_t features) {
  return "(" + std::to_string(pairs) + ", 2, " + std::to_string(features) + ")";
}

void check_header(std::string_view content, std::size_t pairs, std::size_t features, std::size_t& length) {
  const NpyHeader header = read_npy_header(content, kHeader);
  length = header.length;
  const std::vector<std::int64_t> wanted{static_cast<std::int64_t>(pairs), 2, static_cast<std::int64_t>(features)};
  if (header.descr == "<f4" && !header.in_columns && header.shape == wanted) return;
  throw BundleError("embeddings are " + show_dtype(header.descr) + " " + show_npy_shape(header.shape) +
                    (header.in_columns ? " by columns" : "") + ", not float32 " + show_shape(pairs, features));
}

void check_unit_length(const std::vector<float>& embeddings, std::size_t features) {
  for (std::size_t start = 0; start < embeddings.size(); start += features) {
    double squared = 0;
    for (std::size_t i = start; i < start + features; ++i) squared += double{embeddings[i]} * double{embeddings[i]};
    if (!(std::abs(std::sqrt(squared) - 1) <= kUnitTolerance))  // true for NaN, too
      throw BundleError("embeddings are not all of unit length");
  }
}

}  // namespace

std::vector<float> read_embeddings(std::string_view data, std::size_t pairs, std::size_t features) {
  const Archive archive = open_archive(data);
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  const char* name = count == 1 ? zip_get_name(archive.get(), 0, ZIP_FL_ENC_RAW) : nullptr;
  if (name == nullptr || std::strcmp(name, kMember) != 0)
    throw BundleError("holds " + show_names(archive.get(), count) + ", not " + kMember + " alone");
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_stat_index(archive.get(), 0, 0, &status) != 0) throw refuse_unreadable(zip_strerror(archive.get()));
  const std::uint64_t size = std::uint64_t{pairs} * 2 * features * sizeof(float);
  if (size > kLargest || status.size <= size || status.size > size + kHeader)
    throw BundleError("unpacks to " + std::to_string(status.size) + " bytes, and float32 " +
                      show_shape(pairs, features) + " has " + std::to_string(size) + ", at most " +
                      std::to_string(kLargest));
  if (status.encryption_method != ZIP_EM_NONE) throw refuse_unreadable("File is encrypted");
  const Member member(zip_fopen_index(archive.get(), 0, 0));
  if (member == nullptr) throw refuse_unreadable(zip_strerror(archive.get()));
  // One byte more than there may be: a member that unpacks to more is found out, and its checksum looked at.
  const std::string content = read_bytes(member.get(), static_cast<std::size_t>(status.size) + 1);
  std::size_t header = 0;
  check_header(content, pairs, features, header);
  if (const std::uint64_t found = std::min<std::uint64_t>(content.size() - header, size + 1); found != size)
    throw BundleError("embeddings have " + std::to_string(found) + " bytes, not " + std::to_string(size));
  std::vector<float> embeddings(static_cast<std::size_t>(size) / sizeof(float));
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");
  std::memcpy(embeddings.data(), content.data() + header, static_cast<std::size_t>(size));
  check_unit_length(embeddings, features);
  return embeddings;
}

}  // namespace maclip
