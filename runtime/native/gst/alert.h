/* Alerts below a threshold, by the rule of `maclip watch --alert-below` (stream/events.py). */
#pragma once

#include <stdbool.h>

typedef struct {
  bool on;      /* an alert is going on */
  double since; /* when its end, or its beginning, came into sight; NAN: not in sight */
} MaclipAlert;

/* Before the first frame, and after a flush. */
void maclip_alert_reset (MaclipAlert *alert);

/* Take in a frame's score, shown at `time` in seconds: whether an alert begins or ends with it.
 *
 * It begins when every score of two seconds was below the threshold, and ends when every score of two
 * seconds was 0.02 above it or more. A frame of which less than half of the views are fresh says nothing. */
bool maclip_alert_update (MaclipAlert *alert, double threshold, double score, double fresh, double time);
