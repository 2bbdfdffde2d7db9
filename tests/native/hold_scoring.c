/* Put before libmaclip (LD_PRELOAD), this holds every scoring of a stream: it writes a byte to the descriptor
 * MACLIP_TEST_ENTERED, and goes on when it can read one from MACLIP_TEST_HELD; at the end of that, always. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "maclip.h"

typedef maclip_status (*Push) (maclip_stream *, const maclip_frame *, double, maclip_result *, maclip_reading *,
                               maclip_error *);

maclip_status
maclip_stream_push (maclip_stream *stream, const maclip_frame *frame, double time, maclip_result *result,
                    maclip_reading *reading, maclip_error *error)
{
  static Push push;
  char byte = 'e';
  if (push == NULL) /* the plugin's library is not in the global scope, where RTLD_NEXT would look */
    push = (Push) dlsym (dlopen ("libmaclip.so.0", RTLD_LAZY | RTLD_NOLOAD), "maclip_stream_push");
  if (write (atoi (getenv ("MACLIP_TEST_ENTERED")), &byte, 1) == 1)
    (void) !read (atoi (getenv ("MACLIP_TEST_HELD")), &byte, 1);
  return push (stream, frame, time, result, reading, error);
}
