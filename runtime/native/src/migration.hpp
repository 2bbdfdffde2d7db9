// Bundles of schema 1 (0.1.0's first exports), read as if they were of schema 2; the twin of bundle/migration.py.
#pragma once

#include "json_value.hpp"

namespace maclip {

// The same manifest as schema 2 writes it; what is not understood stays for the reader to refuse.
JsonValue upgrade_schema_1(const JsonValue& manifest);

}  // namespace maclip
