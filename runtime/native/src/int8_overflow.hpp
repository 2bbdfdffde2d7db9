// What ONNX Runtime has to be told of this processor before it runs an INT8 graph.
#pragma once

namespace maclip {

// Whether this CPU adds pairs of uint8 x int8 products in 16 bits, where they can saturate: x86 without VNNI does.
bool overflows_int8();

}  // namespace maclip
