/* A video frame's pixels, copied out of GStreamer's memory so that its buffer can go. */
#pragma once

#include <gst/video/video.h>

#include "maclip.h"

G_BEGIN_DECLS

/* The formats that the scorer takes, for caps. */
#define MACLIP_VIDEO_FORMATS "{ NV12, I420, YUY2, RGB, BGR, RGBA, BGRA, RGBx, BGRx, GRAY8 }"

/* Memory for one frame; it grows with the largest frame and is kept. */
typedef struct {
  guint8 *data;
  gsize capacity;
} MaclipFrameCopy;

/* Copy the pixels of a buffer with this description into `copy` and describe them in `frame`, with the matrix and
 * the range of its caps. FALSE: it cannot be mapped, or is shorter than its caps say. */
gboolean maclip_frame_copy_take (MaclipFrameCopy *copy, GstBuffer *buffer, const GstVideoInfo *info,
                                 maclip_frame *frame);

void maclip_frame_copy_clear (MaclipFrameCopy *copy);

G_END_DECLS
