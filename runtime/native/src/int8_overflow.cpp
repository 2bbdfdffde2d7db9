#include "int8_overflow.hpp"

#include <fstream>
#include <string>

namespace maclip {

bool overflows_int8() {
#if defined(__x86_64__)
  std::ifstream file("/proc/cpuinfo");
  std::string word;
  while (file >> word)
    if (word == "avx512_vnni" || word == "avx_vnni") return false;
  return true;
#else
  return false;
#endif
}

}  // namespace maclip
