// Manifests, prompts and graphs as an attacker writes them: each is understood or refused by one line.
//
//   fuzz_bundle FOLDER SECONDS [SEED]     mutate the files of the bundle in FOLDER for that long
//
// LLVMFuzzerTestOneInput is libFuzzer's interface, for those who have it; the first byte chooses what the rest is. The
// program has its own plain mutations, so that any compiler will do. What is found is left in `fuzz_bundle.found`.
#include <zip.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "embeddings.hpp"
#include "errors.hpp"
#include "external_data.hpp"
#include "json_value.hpp"
#include "manifest.hpp"
#include "npy_header.hpp"
#include "python_words.hpp"

namespace {

enum Target { kManifest, kArchive, kMember, kGraph, kTargets };
const char* const kNames[] = {"manifest", "npz", "npy in npz", "graph"};

constexpr std::size_t kPairs = 5, kFeatures = 256;  // of the demo bundle's prompts

// A zip archive of one member; what libzip makes of it is not under attack.
std::string zip_up(std::string_view content) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(target);
  zip_t* archive = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  zip_source_t* member = zip_source_buffer(archive, content.data(), content.size(), 0);
  zip_file_add(archive, "embeddings.npy", member, 0);
  zip_set_file_compression(archive, 0, ZIP_CM_STORE, 0);
  zip_close(archive);
  zip_source_open(target);
  zip_source_seek(target, 0, SEEK_END);
  std::string packed(static_cast<std::size_t>(zip_source_tell(target)), '\0');
  zip_source_seek(target, 0, SEEK_SET);
  zip_source_read(target, packed.data(), packed.size());
  zip_source_close(target);
  zip_source_free(target);
  zip_error_fini(&error);
  return packed;
}

// Whether it was taken; anything but a BundleError of one line ends the process.
bool try_input(Target target, std::string_view data) {
  try {
    if (target == kManifest) maclip::parse_manifest(data);
    if (target == kArchive) maclip::read_embeddings(data, kPairs, kFeatures);
    if (target == kMember) maclip::read_embeddings(zip_up(data), kPairs, kFeatures);
    if (target == kGraph) maclip::refuse_external_data(data);
    return true;
  } catch (const maclip::BundleError& error) {
    const std::string_view message = error.what();
    if (message.empty() || message.find_first_of("\n\r\x1b") != std::string_view::npos) std::abort();
    return false;
  }
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s: not readable\n", path.c_str());
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

// What is being tried, for whoever looks into why the process ended.
std::size_t last_target = 0;
const std::string* last_input = nullptr;

void keep_last_input() {
  if (last_input == nullptr) return;
  std::ofstream("fuzz_bundle.found", std::ios::binary) << static_cast<char>(last_target) << *last_input;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutate(std::string data, const std::vector<std::string>& words) {
    const std::size_t times = 1 + pick(4);
    for (std::size_t i = 0; i < times; ++i) change(data, words);
    return data;
  }

 private:
  std::size_t pick(std::size_t below) { return below == 0 ? 0 : random_() % below; }

  void change(std::string& data, const std::vector<std::string>& words) {
    const std::size_t place = pick(data.size() + 1), length = 1 + pick(pick(4) == 0 ? 400 : 8);
    switch (pick(8)) {
      case 0:
        if (!data.empty()) data[pick(data.size())] = static_cast<char>(random_());
        break;
      case 1:
        if (!data.empty()) data[pick(data.size())] ^= static_cast<char>(1U << pick(8));
        break;
      case 2:
        data.erase(place, length);
        break;
      case 3:
        data.insert(place, data.substr(pick(data.size() + 1), length));
        break;
      case 4:
        data.insert(place, words[pick(words.size())]);
        break;
      case 5:
        data.replace(place, length, words[pick(words.size())]);
        break;
      case 6:
        data.resize(pick(8) == 0 ? place : data.size());
        break;
      default:
        change_number(data, place);
    }
  }

  // Another number in the place of the next one.
  void change_number(std::string& data, std::size_t place) {
    static const char* const numbers[] = {"0",   "-1",         "1",          "65535", "4294967296",
                                          "1e9", "1e-320",     "1e308",      "1e309", "18446744073709551616",
                                          "256", "2147483648", "1073741824", "3",     "0.1"};
    const std::size_t start = data.find_first_of("0123456789", place);
    if (start == std::string::npos) return;
    const std::size_t end = std::min(data.find_first_not_of("0123456789.e-+", start), data.size());
    data.replace(start, end - start, numbers[pick(std::size(numbers))]);
  }

  std::mt19937_64 random_;
};

std::string unpack(const std::string& archive) {
  zip_error_t error;
  zip_error_init(&error);
  zip_t* opened = zip_open_from_source(zip_source_buffer_create(archive.data(), archive.size(), 0, &error), 0, &error);
  zip_file_t* member = zip_fopen_index(opened, 0, 0);
  std::string content(1 << 20, '\0');
  content.resize(static_cast<std::size_t>(zip_fread(member, content.data(), content.size())));
  zip_fclose(member);
  zip_discard(opened);
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try_input(static_cast<Target>(data[0] % kTargets), {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

#ifndef MACLIP_LIBFUZZER
int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: fuzz_bundle FOLDER SECONDS [SEED]\n");
    return 2;
  }
  const std::string folder = arguments[1];
  const double seconds = std::atof(arguments[2]);
  const std::uint64_t seed = count > 3 ? std::strtoull(arguments[3], nullptr, 10) : 1;
  const std::string manifest = read_file(folder + "/manifest.json"), prompts = read_file(folder + "/prompts.npz");
  // Small graphs, each with a tensor where one can be: an initializer, a sparse one's values, a node's attribute, a
  // branch's, a function's, training's; its data inside.
  using std::string_literals::operator""s;
  const std::vector<std::string> graphs = {
      "\x3a\x04\x2a\x02\x70\x00"s,
      "\x3a\x06\x7a\x04\x0a\x02\x70\x00"s,
      "\x3a\x08\x0a\x06\x2a\x04\x2a\x02\x70\x00"s,
      "\x3a\x0a\x0a\x08\x2a\x06\x32\x04\x2a\x02\x70\x00"s,
      "\xca\x01\x08\x3a\x06\x2a\x04\x52\x02\x70\x00"s,
      "\xa2\x01\x06\x0a\x04\x2a\x02\x70\x00"s};
  const std::vector<std::string> seeds[] = {{manifest}, {prompts}, {unpack(prompts)}, graphs};
  std::vector<std::string> words = {"{}", "[]", "null", "true", "\"\"", "[[[[", "{\"a\":", ",", "\"schema\": 1,", "NaN",
                                    "\\ud800", "\\u0000", "\xff", "\xe2\x80\xae", std::string(4, '\0'), "../", "PK\x05\x06",
                                    "PK\x01\x02", "(", ")", "'shape'", "True", "\x70\x01", "\x6a", "\x3a", "\xff\xff\xff\xff"};
  std::set_terminate([] {
    keep_last_input();
    std::abort();
  });
  std::signal(SIGABRT, [](int) { keep_last_input(); });
  Mutator mutator(seed);
  std::uint64_t tried[kTargets] = {}, taken[kTargets] = {};
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::mt19937_64 random(seed);
  // What was taken is mutated further, so that small changes pile up.
  std::vector<std::string> pools[kTargets];
  for (std::size_t target = 0; target < kTargets; ++target) pools[target] = seeds[target];
  while (std::chrono::steady_clock::now() < end) {
    for (std::size_t target = 0; target < kTargets; ++target) {
      auto& pool = pools[target];
      const std::string input = mutator.mutate(pool[random() % pool.size()], words);
      last_target = target;
      last_input = &input;
      const bool good = try_input(static_cast<Target>(target), input);
      ++tried[target];
      if (!good) continue;
      ++taken[target];
      if (pool.size() < 200)
        pool.push_back(input);
      else
        pool[10 + random() % (pool.size() - 10)] = input;
    }
  }
  for (std::size_t target = 0; target < kTargets; ++target)
    std::printf("%s: %llu inputs, %llu taken, the others refused\n", kNames[target],
                static_cast<unsigned long long>(tried[target]), static_cast<unsigned long long>(taken[target]));
  return 0;
}
#endif
