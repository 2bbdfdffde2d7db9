/* The element maclipquality: no-reference picture quality beside a video stream. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define MACLIP_TYPE_QUALITY (maclip_quality_get_type ())
G_DECLARE_FINAL_TYPE (MaclipQuality, maclip_quality, MACLIP, QUALITY, GstElement)

GST_ELEMENT_REGISTER_DECLARE (maclipquality);

G_END_DECLS
