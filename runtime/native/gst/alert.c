#include "alert.h"

#include <math.h>

#define AFTER 2.0        /* seconds */
#define MARGIN 0.02      /* of the score: turned scores are within this of exact ones after an event */
#define ENOUGH_FRESH 0.5
#define ROUNDING 1e-6    /* of times */

void
maclip_alert_reset (MaclipAlert *alert)
{
  alert->on = false;
  alert->since = NAN;
}

bool
maclip_alert_update (MaclipAlert *alert, double threshold, double score, double fresh, double time)
{
  if (fresh < ENOUGH_FRESH)
    return false;
  const bool turns = alert->on ? score >= threshold + MARGIN : score < threshold;
  if (!turns) {
    alert->since = NAN;
    return false;
  }
  if (isnan (alert->since))
    alert->since = time;
  if (time - alert->since < AFTER - ROUNDING)
    return false;
  alert->on = !alert->on;
  alert->since = NAN;
  return true;
}
