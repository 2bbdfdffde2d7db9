// The C interface: arguments are checked here, and no exception leaves.
#include "maclip.h"

const char* maclip_version(void) { return "0.1.0"; }
