#include "quality.h"

#include "frame_copy.h"
#include "quality_private.h"

GST_DEBUG_CATEGORY_STATIC (maclip_quality_debug);
#define GST_CAT_DEFAULT maclip_quality_debug

#define NO_SLOT G_MAXUINT64

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (MACLIP_VIDEO_FORMATS)));
static GstStaticPadTemplate source_template = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (MACLIP_VIDEO_FORMATS)));

G_DEFINE_TYPE_WITH_CODE (MaclipQuality, maclip_quality, GST_TYPE_ELEMENT,
    GST_DEBUG_CATEGORY_INIT (maclip_quality_debug, "maclipquality", 0, "picture quality beside a stream"))
GST_ELEMENT_REGISTER_DEFINE (maclipquality, "maclipquality", GST_RANK_NONE, MACLIP_TYPE_QUALITY)

/* ---- What the thread says ------------------------------------------------------------------------------- */

static void
post (MaclipQuality *self, GstStructure *structure)
{
  gst_element_post_message (GST_ELEMENT (self), gst_message_new_element (GST_OBJECT (self), structure));
}

static void
on_scored (const GstStructure *score, double time, gpointer user)
{
  MaclipQuality *self = user;
  gdouble value = 0, fresh = 0;
  self->failing = FALSE;
  gst_structure_get_double (score, "score", &value);
  gst_structure_get_double (score, "fresh", &fresh);
  GST_LOG_OBJECT (self, "at %.3f s: %" GST_PTR_FORMAT, time, score);
  GST_OBJECT_LOCK (self);
  const gboolean messages = self->post_messages;
  const gdouble threshold = self->alert_below;
  gboolean turned = FALSE;
  if (threshold != MACLIP_NO_ALERT)
    turned = maclip_alert_update (&self->alert, threshold, value, fresh, time);
  else
    maclip_alert_reset (&self->alert);
  const gboolean alert = self->alert.on;
  GST_OBJECT_UNLOCK (self);
  if (messages)
    post (self, gst_structure_copy (score));
  if (turned) {
    GST_INFO_OBJECT (self, "alert %s at %.3f s with a score of %.3f", alert ? "begins" : "ends", time, value);
    GstStructure *structure = gst_structure_copy (score);
    gst_structure_set_name (structure, "maclip-alert");
    gst_structure_set (structure, "active", G_TYPE_BOOLEAN, alert, "threshold", G_TYPE_DOUBLE, threshold, NULL);
    post (self, structure);
  }
}

/* A frame that cannot be scored is a warning, the first of those in a row: the stream goes on. */
static void
on_failed (const char *message, gpointer user)
{
  MaclipQuality *self = user;
  GST_INFO_OBJECT (self, "a frame was not scored: %s", message);
  if (!self->failing)
    GST_ELEMENT_WARNING (self, STREAM, FAILED, ("a frame was not scored: %s", message), (NULL));
  self->failing = TRUE;
}

/* ---- Opening and closing -------------------------------------------------------------------------------- */

static gboolean
parse_views (const gchar *words, guint32 *views)
{
  guint64 number;
  if (g_strcmp0 (words, "all") == 0)
    *views = MACLIP_VIEWS_ALL;
  else if (g_strcmp0 (words, "auto") == 0)
    *views = MACLIP_VIEWS_AUTO;
  else if (words != NULL && g_ascii_string_to_unsigned (words, 10, 1, G_MAXINT32, &number, NULL))
    *views = (guint32) number;
  else
    return FALSE;
  return TRUE;
}

static gboolean
open_scorer (MaclipQuality *self)
{
  GST_OBJECT_LOCK (self);
  gchar *bundle = g_strdup (self->bundle);
  gchar *engine = g_strdup (self->engine);
  maclip_options options = { .size = sizeof options, .engine = engine, .threads = self->threads };
  GST_OBJECT_UNLOCK (self);
  maclip_error error = { .size = sizeof error };
  if (bundle == NULL)
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
                       ("no bundle: set the property bundle to a folder that maclip export wrote"), (NULL));
  else if (maclip_open (bundle, &options, &self->scorer, &error) == MACLIP_OK)
    GST_INFO_OBJECT (self, "opened %s", bundle);
  else if (error.status == MACLIP_ERROR_BUNDLE)
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("%s", error.message), (NULL));
  else
    GST_ELEMENT_ERROR (self, LIBRARY, INIT, ("%s", error.message), (NULL));
  g_free (bundle);
  g_free (engine);
  return self->scorer != NULL;
}

static void
reset_stream (MaclipQuality *self)
{
  gst_segment_init (&self->segment, GST_FORMAT_UNDEFINED);
  self->slot = NO_SLOT;
  GST_OBJECT_LOCK (self);
  maclip_alert_reset (&self->alert);
  GST_OBJECT_UNLOCK (self);
}

static gboolean
start (MaclipQuality *self)
{
  guint32 views;
  GST_OBJECT_LOCK (self);
  gchar *words = g_strdup (self->views_per_frame);
  GST_OBJECT_UNLOCK (self);
  const gboolean known = parse_views (words, &views);
  if (!known)
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
                       ("views-per-frame=%s: use a number above 0, all or auto", words != NULL ? words : ""), (NULL));
  g_free (words);
  if (!known)
    return FALSE;
  reset_stream (self);
  gst_video_info_init (&self->info);
  self->buffers = 0;
  self->failing = FALSE;
  maclip_error error = { .size = sizeof error };
  self->background = maclip_background_new (self->scorer, views, on_scored, on_failed, self, &error);
  if (self->background == NULL)
    GST_ELEMENT_ERROR (self, LIBRARY, INIT, ("%s", error.message), (NULL));
  return self->background != NULL;
}

static GstStateChangeReturn
change_state (GstElement *element, GstStateChange transition)
{
  MaclipQuality *self = MACLIP_QUALITY (element);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !open_scorer (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    maclip_background_interrupt (self->background); /* an end of stream may be waiting for its last score */
  const GstStateChangeReturn result = GST_ELEMENT_CLASS (maclip_quality_parent_class)->change_state (element, transition);
  const gboolean failed = result == GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY || (transition == GST_STATE_CHANGE_READY_TO_PAUSED && failed))
    g_clear_pointer (&self->background, maclip_background_free);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL || (transition == GST_STATE_CHANGE_NULL_TO_READY && failed))
    g_clear_pointer (&self->scorer, maclip_close);
  return result;
}

/* ---- The stream ----------------------------------------------------------------------------------------- */

/* Seconds from one frame that is to be scored to the next, as caps and interval have it; 0: not known. */
static double
find_spacing (const GstVideoInfo *info, GstClockTime interval)
{
  const double frame = info->fps_n > 0 ? (double) info->fps_d / info->fps_n : 0;
  return MAX (frame, (double) interval / GST_SECOND);
}

/* Whether a buffer is to be scored: inside of the segment, and the first in its interval. Fills in its times. */
static gboolean
is_due (MaclipQuality *self, MaclipArrival *arrival)
{
  if (GST_CLOCK_TIME_IS_VALID (arrival->timestamp) && self->segment.format == GST_FORMAT_TIME) {
    arrival->running_time = gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, arrival->timestamp);
    arrival->stream_time = gst_segment_to_stream_time (&self->segment, GST_FORMAT_TIME, arrival->timestamp);
    if (!GST_CLOCK_TIME_IS_VALID (arrival->running_time))
      return FALSE; /* nobody will see it: the frames before the place that was sought */
  }
  GST_OBJECT_LOCK (self);
  const GstClockTime interval = self->interval;
  GST_OBJECT_UNLOCK (self);
  arrival->spacing = find_spacing (&self->info, interval);
  if (interval == 0)
    return TRUE;
  const GstClockTime now = GST_CLOCK_TIME_IS_VALID (arrival->running_time)
                               ? arrival->running_time
                               : (GstClockTime) g_get_monotonic_time () * GST_USECOND;
  const guint64 slot = now / interval;
  const gboolean due = slot != self->slot;
  self->slot = slot;
  return due;
}

static GstFlowReturn
chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  (void) pad;
  MaclipQuality *self = MACLIP_QUALITY (parent);
  if (GST_VIDEO_INFO_FORMAT (&self->info) == GST_VIDEO_FORMAT_UNKNOWN) {
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  MaclipArrival arrival = { .info = self->info, .number = self->buffers++, .timestamp = GST_BUFFER_PTS (buffer),
                            .running_time = GST_CLOCK_TIME_NONE, .stream_time = GST_CLOCK_TIME_NONE };
  if (is_due (self, &arrival)) {
    arrival.buffer = gst_buffer_ref (buffer);
    maclip_background_submit (self->background, &arrival);
  }
  return gst_pad_push (self->source, maclip_background_mark (self->background, buffer));
}

static gboolean
take_caps (MaclipQuality *self, GstEvent *event)
{
  GstCaps *caps;
  gst_event_parse_caps (event, &caps);
  GST_DEBUG_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  return gst_video_info_from_caps (&self->info, caps);
}

static gboolean
sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  MaclipQuality *self = MACLIP_QUALITY (parent);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      if (!take_caps (self, event)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (event, &self->segment);
      break;
    case GST_EVENT_EOS: /* the last frame's score comes before the end of the stream */
      maclip_background_drain (self->background);
      break;
    case GST_EVENT_FLUSH_START:
      maclip_background_interrupt (self->background);
      maclip_background_drop (self->background);
      break;
    case GST_EVENT_FLUSH_STOP:
      maclip_background_restart (self->background);
      reset_stream (self);
      break;
    default:
      break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* One buffer waits to be scored while the stream goes on: pools need room for it. */
static void
ask_for_one_more_buffer (GstQuery *query)
{
  for (guint index = 0; index < gst_query_get_n_allocation_pools (query); ++index) {
    GstBufferPool *pool;
    guint size, least, most;
    gst_query_parse_nth_allocation_pool (query, index, &pool, &size, &least, &most);
    gst_query_set_nth_allocation_pool (query, index, pool, size, least + 1, most == 0 ? 0 : most + 1);
    g_clear_object (&pool);
  }
}

static gboolean
sink_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  MaclipQuality *self = MACLIP_QUALITY (parent);
  if (GST_QUERY_TYPE (query) == GST_QUERY_DRAIN && self->background != NULL)
    maclip_background_drop (self->background); /* somebody wants all buffers back */
  const gboolean answered = gst_pad_query_default (pad, parent, query);
  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION && answered)
    ask_for_one_more_buffer (query);
  return answered;
}

/* ---- The object ----------------------------------------------------------------------------------------- */

static void
finalize (GObject *object)
{
  MaclipQuality *self = MACLIP_QUALITY (object);
  g_free (self->bundle);
  g_free (self->views_per_frame);
  g_free (self->engine);
  G_OBJECT_CLASS (maclip_quality_parent_class)->finalize (object);
}

static void
maclip_quality_class_init (MaclipQualityClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GstElementClass *element_class = GST_ELEMENT_CLASS (class);
  maclip_quality_install_properties (object_class);
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &source_template);
  gst_element_class_set_static_metadata (element_class, "Picture quality", "Filter/Analyzer/Video",
      "Scores video beside the stream, without a reference (MA-CLIP)", "The maclip-edge authors");
}

static void
maclip_quality_init (MaclipQuality *self)
{
  maclip_quality_init_properties (self);
  gst_video_info_init (&self->info);
  self->sink = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sink, chain);
  gst_pad_set_event_function (self->sink, sink_event);
  gst_pad_set_query_function (self->sink, sink_query);
  self->source = gst_pad_new_from_static_template (&source_template, "src");
  GST_PAD_SET_PROXY_CAPS (self->sink);
  GST_PAD_SET_PROXY_ALLOCATION (self->sink);
  GST_PAD_SET_PROXY_CAPS (self->source);
  gst_element_add_pad (GST_ELEMENT (self), self->sink);
  gst_element_add_pad (GST_ELEMENT (self), self->source);
}
