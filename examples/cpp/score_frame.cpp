// Scores raw RGB frames with a bundle's score graph and ONNX Runtime: no Python, no image library.
//
//   score_frame score.any.fp32.onnx picture.ppm            one or more binary PPM pictures (P6)
//   score_frame score.any.fp32.onnx video.rgb 1080 1920    raw frames, height and width given
//   ffmpeg ... -f rawvideo -pix_fmt rgb24 - | score_frame GRAPH - 1080 1920
//
// With --cuda in front it runs on the GPU. One line a frame on stdout: number, score, similarity,
// magnitude; higher is better. Exit status 0, or 1 after one line on stderr.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::int64_t kSmallest = 224;     // the graph cuts windows of this side
constexpr std::int64_t kLargest = 1 << 15;  // a longer side is a damaged header, not a camera

struct Frame {
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  // R, G, B of each pixel, row by row
};

struct Result {
  float score = 0, similarity = 0, magnitude = 0;
};

std::int64_t parse_length(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < kSmallest ||
      value > kLargest)
    throw std::runtime_error("a frame's side is " + std::string(text) + "; it takes " +
                             std::to_string(kSmallest) + " to " + std::to_string(kLargest));
  return value;
}

// The next word of a PPM header; a '#' begins a comment that ends with its line.
std::string read_word(std::istream& stream) {
  std::string word, comment;
  while (stream >> word && word.front() == '#') std::getline(stream, comment);
  return word;
}

// Reads the next frame into `frame`; false at the end of the stream. A frame whose size is known
// beforehand is raw, any other is a PPM that tells its own.
bool read_frame(std::istream& stream, Frame& frame, bool raw) {
  if (stream.peek() == std::char_traits<char>::eof()) return false;
  if (!raw) {
    if (read_word(stream) != "P6")
      throw std::runtime_error("no binary PPM (P6); for raw frames give HEIGHT WIDTH");
    frame.width = parse_length(read_word(stream));
    frame.height = parse_length(read_word(stream));
    if (read_word(stream) != "255") throw std::runtime_error("the PPM is not of 8 bits; convert it");
    stream.get();  // the one space before the pixels
  }
  frame.pixels.resize(static_cast<std::size_t>(frame.height * frame.width * 3));
  const auto wanted = static_cast<std::streamsize>(frame.pixels.size());
  stream.read(reinterpret_cast<char*>(frame.pixels.data()), wanted);
  if (stream.gcount() != wanted) throw std::runtime_error("the last frame is cut off");
  return true;
}

class Scorer {
 public:
  Scorer(const char* graph, bool cuda)
      : environment_(ORT_LOGGING_LEVEL_FATAL, "score_frame"),
        session_(environment_, graph, choose_options(cuda)) {
    if (session_.GetInputCount() != 1 || session_.GetOutputCount() < 3)
      throw std::runtime_error("not a score graph; export one with: maclip export ... --score any");
  }

  Result score(Frame& frame) {
    const std::array<std::int64_t, 3> shape{frame.height, frame.width, 3};
    // The tensor borrows the frame's memory: nothing is copied, and it must not outlive the frame.
    auto input = Ort::Value::CreateTensor<std::uint8_t>(
        memory_, frame.pixels.data(), frame.pixels.size(), shape.data(), shape.size());
    const char* inputs[] = {"frame"};
    const char* outputs[] = {"score", "similarity", "magnitude"};
    auto values = session_.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 3);
    return {*values[0].GetTensorData<float>(), *values[1].GetTensorData<float>(),
            *values[2].GetTensorData<float>()};
  }

 private:
  static Ort::SessionOptions choose_options(bool cuda) {
    Ort::SessionOptions options;
    if (cuda) options.AppendExecutionProvider_CUDA(OrtCUDAProviderOptions{});  // throws if it has none
    return options;
  }

  Ort::Env environment_;
  Ort::Session session_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
};

void run(std::vector<std::string_view> arguments) {
  const bool cuda = !arguments.empty() && arguments.front() == "--cuda";
  if (cuda) arguments.erase(arguments.begin());
  if (arguments.size() != 2 && arguments.size() != 4)
    throw std::runtime_error("usage: score_frame [--cuda] GRAPH FILE|- [HEIGHT WIDTH]");
  Frame frame;
  const bool raw = arguments.size() == 4;
  if (raw) {
    frame.height = parse_length(arguments[2]);
    frame.width = parse_length(arguments[3]);
  }
  std::ifstream file;
  const std::string path(arguments[1]);
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot be opened");
  }
  std::istream& stream = path == "-" ? std::cin : file;
  Scorer scorer(arguments[0].data(), cuda);
  for (int number = 0; read_frame(stream, frame, raw); ++number) {
    const Result result = scorer.score(frame);
    std::printf("%d %.7f %.7f %.7f\n", number, result.score, result.similarity, result.magnitude);
    std::fflush(stdout);  // whoever reads along has the score with the frame
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run({arguments + 1, arguments + count});
  } catch (const std::exception& error) {  // Ort::Exception is one
    std::string reason = error.what();
    std::replace(reason.begin(), reason.end(), '\n', ' ');  // ONNX Runtime's take several lines
    std::fprintf(stderr, "score_frame: %s\n", reason.c_str());
    return 1;
  }
  return 0;
}
