/* What is known of a frame as a GstStructure: of element messages, and of the meta on buffers. */
#pragma once

#include <gst/video/video.h>

#include "maclip.h"

G_BEGIN_DECLS

/* Name of the messages and of the custom meta. */
#define MACLIP_QUALITY_NAME "maclip-quality"

/* A frame of the stream. `number` counts the buffers that came in, from 0; times are GST_CLOCK_TIME_NONE where the
 * buffer has none. */
typedef struct {
  GstBuffer *buffer; /* a reference of its own, or NULL once its pixels were taken */
  GstVideoInfo info;
  guint64 number;
  GstClockTime timestamp;
  GstClockTime running_time;
  GstClockTime stream_time;
  double spacing; /* seconds from one frame that is to be scored to the next; 0: not known */
} MaclipArrival;

/* Its score: score, similarity, magnitude, weight, attributes (a structure), fresh, views, refreshed, detail, scene,
 * width, height, dropped, and which frame it was: frame, timestamp, running-time, stream-time. The caller's. */
GstStructure *maclip_describe_score (const MaclipArrival *arrival, const maclip_scorer *scorer,
                                     const maclip_result *result, const maclip_reading *reading, guint64 dropped);

/* Register the custom meta; once, by the plugin. */
void maclip_register_meta (void);

/* Put what a score says on a buffer, which must be writable. */
void maclip_add_meta (GstBuffer *buffer, const GstStructure *score);

G_END_DECLS
