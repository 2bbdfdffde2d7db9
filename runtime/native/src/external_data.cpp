#include "external_data.hpp"

#include <cstdint>
#include <vector>

#include "errors.hpp"

// ONNX Runtime, given a graph's bytes, looks for such files in the working directory, where anybody may have put them.
// Neither it nor this library's other parts bring a reader of onnx.proto, so this walks the graph's Protocol Buffers
// encoding: the messages that lead to a tensor, everything else skipped.

namespace maclip {
namespace {

enum class Message { kNone, kModel, kTrainingInfo, kGraph, kFunction, kNode, kAttribute, kSparseTensor, kTensor };

// For each message of onnx.proto the fields that hold messages which hold tensors, in the end.
Message find_child(Message message, std::uint64_t field) {
  switch (message) {
    case Message::kModel:
      return field == 7    ? Message::kGraph
             : field == 20 ? Message::kTrainingInfo
             : field == 25 ? Message::kFunction
                           : Message::kNone;
    case Message::kTrainingInfo:
      return field == 1 || field == 2 ? Message::kGraph : Message::kNone;
    case Message::kGraph:
      return field == 1    ? Message::kNode
             : field == 5  ? Message::kTensor
             : field == 15 ? Message::kSparseTensor
                           : Message::kNone;
    case Message::kFunction:
      return field == 7 ? Message::kNode : field == 11 ? Message::kAttribute : Message::kNone;
    case Message::kNode:
      return field == 5 ? Message::kAttribute : Message::kNone;
    case Message::kAttribute:
      return field == 5 || field == 10    ? Message::kTensor
             : field == 6 || field == 11  ? Message::kGraph
             : field == 22 || field == 23 ? Message::kSparseTensor
                                          : Message::kNone;
    case Message::kSparseTensor:
      return field == 1 || field == 2 ? Message::kTensor : Message::kNone;
    default:
      return Message::kNone;
  }
}

constexpr std::uint64_t kExternalData = 13, kDataLocation = 14;  // fields of TensorProto
constexpr unsigned kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;  // wire types; ONNX has no groups

struct Damaged {};

struct Span {
  Message message;
  std::size_t position, end;
};

// A number in groups of seven bits, the lowest first.
std::uint64_t read_varint(std::string_view data, std::size_t& position, std::size_t end) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70 && position < end; shift += 7) {
    const auto byte = static_cast<unsigned char>(data[position++]);
    const std::uint64_t bits = byte & 0x7F;
    if (shift == 63 && bits > 1) throw Damaged{};  // beyond 64 bits: no length or tag
    value |= bits << shift;
    if (byte < 0x80) return value;
  }
  throw Damaged{};
}

void skip_fixed(std::size_t& position, std::size_t end, std::uint64_t length) {
  if (length > end - position) throw Damaged{};
  position += static_cast<std::size_t>(length);
}

void walk(std::string_view graph) {
  std::vector<Span> to_read{{Message::kModel, 0, graph.size()}};
  while (!to_read.empty()) {
    auto [message, position, end] = to_read.back();
    to_read.pop_back();
    while (position < end) {
      const std::uint64_t tag = read_varint(graph, position, end);
      const std::uint64_t field = tag >> 3;
      const auto wire_type = static_cast<unsigned>(tag & 7);
      if (message == Message::kTensor && (field == kExternalData || field == kDataLocation)) {
        std::size_t look = position;  // the location is an enumeration whose 0 is "inside"
        const std::uint64_t value = read_varint(graph, look, end);
        if (field == kExternalData || wire_type != kVarint || value != 0)
          throw BundleError("keeps weights in another file, which no checksum covers", "export the bundle again");
      }
      std::size_t start = position;
      if (wire_type == kVarint) {
        read_varint(graph, position, end);
      } else if (wire_type == kBytes) {
        const std::uint64_t length = read_varint(graph, position, end);
        start = position;
        skip_fixed(position, end, length);
      } else if (wire_type == kFixed64 || wire_type == kFixed32) {
        skip_fixed(position, end, wire_type == kFixed64 ? 8 : 4);
      } else {
        throw Damaged{};
      }
      const Message child = find_child(message, field);
      if (child == Message::kNone) continue;
      if (wire_type != kBytes) throw Damaged{};
      to_read.push_back({child, start, position});
    }
  }
}

}  // namespace

void refuse_external_data(std::string_view graph) {
  try {
    walk(graph);
  } catch (const Damaged&) {
    throw BundleError("not an ONNX graph", "export the bundle again");
  }
}

}  // namespace maclip
