/* What an element holds, and its properties (quality_properties.c). */
#pragma once

#include <gst/video/video.h>

#include "alert.h"
#include "background.h"
#include "quality.h"

G_BEGIN_DECLS

#define MACLIP_NO_ALERT 0.0 /* both cues are above it, and so is every score */

struct _MaclipQuality {
  GstElement element;
  GstPad *sink;
  GstPad *source;

  /* Properties, under the object's lock. */
  gchar *bundle;
  gchar *views_per_frame;
  gchar *engine;
  guint threads;
  GstClockTime interval;
  gdouble alert_below;
  gboolean post_messages;
  MaclipAlert alert;

  maclip_scorer *scorer;        /* from READY on */
  MaclipBackground *background; /* from PAUSED on */

  gboolean failing; /* the scoring thread's own: the last frame could not be scored */

  /* The streaming thread's own. */
  GstVideoInfo info;
  GstSegment segment;
  guint64 buffers; /* that came in */
  guint64 slot;    /* the interval of the last frame that was handed over */
};

void maclip_quality_install_properties (GObjectClass *class);
void maclip_quality_init_properties (MaclipQuality *self);

G_END_DECLS
