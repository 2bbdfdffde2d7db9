#include "signatures.hpp"

#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <vector>

#include "errors.hpp"
#include "files.hpp"
#include "json_value.hpp"
#include "python_words.hpp"

namespace maclip {
namespace {

const char kSignatureName[] = "manifest.json.sig";
constexpr std::int64_t kLongest = 1 << 16;  // bytes of a key or signature file; both are below a thousand
constexpr std::size_t kRawBytes = 32, kSignatureBytes = 64, kIdDigits = 16;
const char kHowToMake[] =
    "make a pair: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub.pem";

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

std::string to_hexadecimal(const unsigned char* bytes, std::size_t count) {
  std::string digits;
  for (std::size_t i = 0; i < count; ++i) {
    digits += "0123456789abcdef"[bytes[i] >> 4];
    digits += "0123456789abcdef"[bytes[i] & 15];
  }
  return digits;
}

std::string read_small_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= kLongest)
    if (auto data = read_regular_file(path, kLongest)) return *std::move(data);
  throw BundleError(path + ": no file, or none of a key's or signature's size");
}

std::vector<std::string> list_key_files(const std::string& path) {
  if (!is_directory(path)) return {path};
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) refuse_unreadable(path, errno);
  std::vector<std::string> files;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") files.push_back(join_path(path, name));
  }
  std::sort(files.begin(), files.end());
  return files;
}

Key load_public_key(const std::string& file) {
  const std::string pem = read_small_file(file);
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) throw std::bad_alloc();
  Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519)
    throw BundleError(file + ": not an Ed25519 public key in PEM", kHowToMake);
  return key;
}

// A public key's id, by which a signature names it.
std::string identify_key(const EVP_PKEY* key) {
  std::array<unsigned char, kRawBytes> raw{};
  std::size_t length = raw.size();
  if (EVP_PKEY_get_raw_public_key(key, raw.data(), &length) != 1) throw std::runtime_error("no raw public key");
  return hash_bytes({reinterpret_cast<const char*>(raw.data()), length}).substr(0, kIdDigits);
}

struct Signature {
  std::string key;
  std::vector<unsigned char> bytes;
};

std::vector<unsigned char> decode_base64(const std::string& text) {
  const std::size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
  const auto in_alphabet = [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  const auto end = text.end() - static_cast<std::ptrdiff_t>(padding);
  if (text.size() % 4 != 0 || padding > 2 || !std::all_of(text.begin(), end, in_alphabet))
    throw std::invalid_argument("Incorrect padding");
  std::vector<unsigned char> bytes(text.size() / 4 * 3);
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (EVP_DecodeBlock(bytes.data(), data, static_cast<int>(text.size())) < 0)
    throw std::invalid_argument("Incorrect padding");
  bytes.resize(bytes.size() - padding);
  return bytes;
}

Signature read_signature(const std::string& root) {
  const std::string path = join_path(root, kSignatureName);
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) throw BundleError(root + ": not signed", "sign it: maclip sign " + root);
  const std::string text = read_small_file(path);
  const auto refuse = [&](const std::string& reason) {
    return BundleError(path + ": not a signature (" + reason + ")", "copy the bundle again");
  };
  try {
    const JsonValue data = parse_json(text);
    const auto get = [&](const char* name) -> const std::string& {
      const auto* found = data.find(name);
      if (found == nullptr) throw refuse("KeyError(" + show_string(name) + ")");
      if (const auto* word = found->as<std::string>()) return *word;
      throw refuse("ValueError('of another algorithm')");
    };
    Signature signature{get("key"), decode_base64(get("signature"))};
    if (get("algorithm") != "ed25519") throw refuse("ValueError('of another algorithm')");
    return signature;
  } catch (const BundleError& error) {
    if (error.cause().find(path) == 0) throw;
    throw refuse(error.cause());
  } catch (const std::invalid_argument& error) {
    throw refuse("Error('" + std::string(error.what()) + "')");
  }
}

bool fits(const Signature& signature, std::string_view manifest, EVP_PKEY* key) {
  if (signature.bytes.size() != kSignatureBytes) return false;
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  if (context == nullptr) throw std::bad_alloc();
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.bytes.data(), signature.bytes.size(),
                          reinterpret_cast<const unsigned char*>(manifest.data()), manifest.size()) == 1;
}

}  // namespace

std::string hash_bytes(std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("libcrypto gives no SHA-256");
  return to_hexadecimal(digest.data(), length);
}

void verify_signature(const std::string& root, std::string_view manifest, const std::string& keys) {
  std::map<std::string, Key> trusted;
  for (const auto& file : list_key_files(keys)) {
    Key key = load_public_key(file);
    const std::string id = identify_key(key.get());
    trusted[id] = std::move(key);
  }
  const Signature signature = read_signature(root);
  const auto found = trusted.find(signature.key);
  if (found == trusted.end()) {
    std::vector<std::string> known;
    for (const auto& [id, key] : trusted) known.push_back(id);
    if (known.empty()) known.emplace_back("none");
    throw BundleError(root + ": signed with the key " + show_name(signature.key) + ", which is not trusted (" + keys +
                          ": " + join(known) + ")",
                      "take the bundle from where you trust, or trust its key");
  }
  if (!fits(signature, manifest, found->second.get()))
    throw BundleError(root + ": its signature does not fit its manifest", "copy the bundle again");
}

}  // namespace maclip
