#include "frame_copy.h"

#include <string.h>

static maclip_pixel_format
find_format (GstVideoFormat format)
{
  switch (format) {
    case GST_VIDEO_FORMAT_NV12: return MACLIP_FORMAT_NV12;
    case GST_VIDEO_FORMAT_I420: return MACLIP_FORMAT_I420;
    case GST_VIDEO_FORMAT_YUY2: return MACLIP_FORMAT_YUYV;
    case GST_VIDEO_FORMAT_RGB: return MACLIP_FORMAT_RGB;
    case GST_VIDEO_FORMAT_BGR: return MACLIP_FORMAT_BGR;
    case GST_VIDEO_FORMAT_RGBA: return MACLIP_FORMAT_RGBA;
    case GST_VIDEO_FORMAT_BGRA: return MACLIP_FORMAT_BGRA;
    case GST_VIDEO_FORMAT_RGBx: return MACLIP_FORMAT_RGBX;
    case GST_VIDEO_FORMAT_BGRx: return MACLIP_FORMAT_BGRX;
    default: return MACLIP_FORMAT_GRAY; /* the caps let no other through */
  }
}

/* Rarer matrices are taken for the one that they are nearest to: their weights of red and blue differ by 0.005. */
static maclip_matrix
find_matrix (GstVideoColorMatrix matrix)
{
  switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT601:
    case GST_VIDEO_COLOR_MATRIX_FCC: return MACLIP_MATRIX_BT601;
    case GST_VIDEO_COLOR_MATRIX_BT709:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M: return MACLIP_MATRIX_BT709;
    case GST_VIDEO_COLOR_MATRIX_BT2020: return MACLIP_MATRIX_BT2020;
    default: return MACLIP_MATRIX_DEFAULT;
  }
}

static maclip_range
find_range (GstVideoColorRange range)
{
  switch (range) {
    case GST_VIDEO_COLOR_RANGE_0_255: return MACLIP_RANGE_FULL;
    case GST_VIDEO_COLOR_RANGE_16_235: return MACLIP_RANGE_LIMITED;
    default: return MACLIP_RANGE_DEFAULT;
  }
}

/* Bytes and rows that hold the pixels of a plane, without padding. */
static void
measure_plane (const GstVideoInfo *info, guint plane, gsize *row_bytes, gsize *rows)
{
  const gsize width = GST_VIDEO_INFO_WIDTH (info);
  const gsize pairs = (width + 1) / 2;
  const gboolean chroma = plane > 0;
  *rows = chroma ? ((gsize) GST_VIDEO_INFO_HEIGHT (info) + 1) / 2 : (gsize) GST_VIDEO_INFO_HEIGHT (info);
  switch (GST_VIDEO_INFO_FORMAT (info)) {
    case GST_VIDEO_FORMAT_NV12: *row_bytes = chroma ? 2 * pairs : width; break;
    case GST_VIDEO_FORMAT_I420: *row_bytes = chroma ? pairs : width; break;
    case GST_VIDEO_FORMAT_YUY2: *row_bytes = 4 * pairs; break;
    case GST_VIDEO_FORMAT_GRAY8: *row_bytes = width; break;
    case GST_VIDEO_FORMAT_RGB:
    case GST_VIDEO_FORMAT_BGR: *row_bytes = 3 * width; break;
    default: *row_bytes = 4 * width; break;
  }
}

gboolean
maclip_frame_copy_take (MaclipFrameCopy *copy, GstBuffer *buffer, const GstVideoInfo *info, maclip_frame *frame)
{
  GstVideoFrame video;
  /* GStreamer's own memory handling looks for GstVideoMeta, which says how the rows lie. */
  if (!gst_video_frame_map (&video, info, buffer, GST_MAP_READ))
    return FALSE;
  *frame = (maclip_frame){
    .size = sizeof *frame,
    .format = find_format (GST_VIDEO_INFO_FORMAT (info)),
    .width = (uint32_t) GST_VIDEO_INFO_WIDTH (info),
    .height = (uint32_t) GST_VIDEO_INFO_HEIGHT (info),
    .matrix = find_matrix (GST_VIDEO_INFO_COLORIMETRY (info).matrix),
    .range = find_range (GST_VIDEO_INFO_COLORIMETRY (info).range),
  };
  const guint planes = GST_VIDEO_INFO_N_PLANES (info);
  gsize needed = 0, row_bytes, rows;
  for (guint plane = 0; plane < planes; ++plane) {
    measure_plane (info, plane, &row_bytes, &rows);
    needed += row_bytes * rows;
  }
  if (copy->capacity < needed) {
    copy->data = g_realloc (copy->data, needed);
    copy->capacity = needed;
  }
  guint8 *out = copy->data;
  for (guint plane = 0; plane < planes; ++plane) {
    measure_plane (info, plane, &row_bytes, &rows);
    const guint8 *in = GST_VIDEO_FRAME_PLANE_DATA (&video, plane);
    frame->planes[plane] = out;
    frame->strides[plane] = row_bytes;
    for (gsize row = 0; row < rows; ++row, out += row_bytes, in += GST_VIDEO_FRAME_PLANE_STRIDE (&video, plane))
      memcpy (out, in, row_bytes);
  }
  gst_video_frame_unmap (&video);
  return TRUE;
}

void
maclip_frame_copy_clear (MaclipFrameCopy *copy)
{
  g_clear_pointer (&copy->data, g_free);
  copy->capacity = 0;
}
