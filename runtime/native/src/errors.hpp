// Errors as they travel inside the library: a status and one line. They never leave it (abi.cpp).
#pragma once

#include <stdexcept>
#include <string>

#include "maclip.h"

namespace maclip {

class Error : public std::runtime_error {
 public:
  Error(maclip_status status, const std::string& cause, const std::string& remedy = "")
      : std::runtime_error(remedy.empty() ? cause : cause + "; " + remedy),
        status_(status),
        cause_(cause),
        remedy_(remedy) {}

  maclip_status status() const { return status_; }
  const std::string& cause() const { return cause_; }
  const std::string& remedy() const { return remedy_; }

 private:
  maclip_status status_;
  std::string cause_, remedy_;
};

struct ArgumentError : Error {
  explicit ArgumentError(const std::string& cause, const std::string& remedy = "")
      : Error(MACLIP_ERROR_ARGUMENT, cause, remedy) {}
};

struct BundleError : Error {
  explicit BundleError(const std::string& cause, const std::string& remedy = "")
      : Error(MACLIP_ERROR_BUNDLE, cause, remedy) {}
};

struct EngineError : Error {
  explicit EngineError(const std::string& cause, const std::string& remedy = "")
      : Error(MACLIP_ERROR_ENGINE, cause, remedy) {}
};

struct FrameError : Error {
  explicit FrameError(const std::string& cause, const std::string& remedy = "")
      : Error(MACLIP_ERROR_FRAME, cause, remedy) {}
};

}  // namespace maclip
