#include "score_structure.h"

static GstStructure *
describe_attributes (const maclip_scorer *scorer, const maclip_result *result)
{
  GstStructure *attributes = gst_structure_new_empty ("attributes");
  const char *name;
  for (uint32_t index = 0; (name = maclip_attribute_name (scorer, index)) != NULL; ++index)
    gst_structure_set (attributes, name, G_TYPE_DOUBLE, (double) result->attributes[index], NULL);
  return attributes;
}

GstStructure *
maclip_describe_score (const MaclipArrival *arrival, const maclip_scorer *scorer, const maclip_result *result,
                       const maclip_reading *reading, guint64 dropped)
{
  GstStructure *attributes = describe_attributes (scorer, result);
  GstStructure *score = gst_structure_new (MACLIP_QUALITY_NAME,
      "score", G_TYPE_DOUBLE, (double) result->score,
      "similarity", G_TYPE_DOUBLE, (double) result->similarity,
      "magnitude", G_TYPE_DOUBLE, (double) result->magnitude,
      "weight", G_TYPE_DOUBLE, (double) result->weight,
      "attributes", GST_TYPE_STRUCTURE, attributes,
      "fresh", G_TYPE_DOUBLE, (double) reading->fresh,
      "views", G_TYPE_UINT, (guint) result->views,
      "refreshed", G_TYPE_UINT, (guint) reading->refreshed,
      "detail", G_TYPE_DOUBLE, (double) reading->detail,
      "scene", G_TYPE_BOOLEAN, reading->scene != 0,
      "width", G_TYPE_UINT, (guint) result->width,
      "height", G_TYPE_UINT, (guint) result->height,
      "dropped", G_TYPE_UINT64, dropped,
      "frame", G_TYPE_UINT64, arrival->number,
      "timestamp", G_TYPE_UINT64, (guint64) arrival->timestamp,
      "running-time", G_TYPE_UINT64, (guint64) arrival->running_time,
      "stream-time", G_TYPE_UINT64, (guint64) arrival->stream_time,
      NULL);
  gst_structure_free (attributes);
  return score;
}

void
maclip_register_meta (void)
{
  /* No tags: it holds of the picture, whatever becomes of its size and colours. */
  static const gchar *tags[] = { NULL };
  gst_meta_register_custom (MACLIP_QUALITY_NAME, tags, NULL, NULL, NULL);
}

static gboolean
set_field (GQuark field, const GValue *value, gpointer structure)
{
  gst_structure_id_set_value (structure, field, value);
  return TRUE;
}

void
maclip_add_meta (GstBuffer *buffer, const GstStructure *score)
{
  GstCustomMeta *meta = gst_buffer_add_custom_meta (buffer, MACLIP_QUALITY_NAME);
  gst_structure_foreach (score, set_field, gst_custom_meta_get_structure (meta));
}
