#include "quality.h"

#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "background.h"
#include "frame_copy.h"

GST_DEBUG_CATEGORY_STATIC (maclip_quality_debug);
#define GST_CAT_DEFAULT maclip_quality_debug

#define DEFAULT_VIEWS "8"
#define NO_ALERT 0.0 /* both cues are above it, and so is every score */
#define NO_SLOT G_MAXUINT64

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

  /* The streaming thread's own. */
  GstVideoInfo info;
  GstSegment segment;
  guint64 buffers; /* that came in */
  guint64 slot;    /* the interval of the last frame that was handed over */
};

enum { PROP_BUNDLE = 1, PROP_VIEWS_PER_FRAME, PROP_INTERVAL, PROP_ALERT_BELOW, PROP_POST_MESSAGES, PROP_ENGINE,
       PROP_THREADS };

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
  gst_structure_get_double (score, "score", &value);
  gst_structure_get_double (score, "fresh", &fresh);
  GST_LOG_OBJECT (self, "at %.3f s: %" GST_PTR_FORMAT, time, score);
  GST_OBJECT_LOCK (self);
  const gboolean messages = self->post_messages;
  const gdouble threshold = self->alert_below;
  gboolean turned = FALSE;
  if (threshold != NO_ALERT)
    turned = maclip_alert_update (&self->alert, threshold, value, fresh, time);
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

/* One frame that cannot be scored is a warning: the stream goes on. */
static void
on_failed (const char *message, gpointer user)
{
  MaclipQuality *self = user;
  GST_ELEMENT_WARNING (self, STREAM, FAILED, ("a frame was not scored: %s", message), (NULL));
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
  GstStructure *latest = maclip_background_copy_latest (self->background);
  if (latest != NULL) {
    buffer = gst_buffer_make_writable (buffer); /* what is copied, if at all, is its head: the pixels are shared */
    maclip_add_meta (buffer, latest);
    gst_structure_free (latest);
  }
  return gst_pad_push (self->source, buffer);
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
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  MaclipQuality *self = MACLIP_QUALITY (object);
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_BUNDLE: g_free (self->bundle); self->bundle = g_value_dup_string (value); break;
    case PROP_VIEWS_PER_FRAME:
      g_free (self->views_per_frame);
      self->views_per_frame = g_value_dup_string (value);
      break;
    case PROP_ENGINE: g_free (self->engine); self->engine = g_value_dup_string (value); break;
    case PROP_THREADS: self->threads = g_value_get_uint (value); break;
    case PROP_INTERVAL: self->interval = g_value_get_uint64 (value); break;
    case PROP_ALERT_BELOW: self->alert_below = g_value_get_double (value); break;
    case PROP_POST_MESSAGES: self->post_messages = g_value_get_boolean (value); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec); break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  MaclipQuality *self = MACLIP_QUALITY (object);
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_BUNDLE: g_value_set_string (value, self->bundle); break;
    case PROP_VIEWS_PER_FRAME: g_value_set_string (value, self->views_per_frame); break;
    case PROP_ENGINE: g_value_set_string (value, self->engine); break;
    case PROP_THREADS: g_value_set_uint (value, self->threads); break;
    case PROP_INTERVAL: g_value_set_uint64 (value, self->interval); break;
    case PROP_ALERT_BELOW: g_value_set_double (value, self->alert_below); break;
    case PROP_POST_MESSAGES: g_value_set_boolean (value, self->post_messages); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec); break;
  }
  GST_OBJECT_UNLOCK (self);
}

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
install_properties (GObjectClass *class)
{
  const GParamFlags plain = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  const GParamFlags ready = plain | GST_PARAM_MUTABLE_READY;
  const GParamFlags playing = plain | GST_PARAM_MUTABLE_PLAYING;
  g_object_class_install_property (class, PROP_BUNDLE, g_param_spec_string ("bundle", "Bundle",
      "Folder that maclip export wrote; opened when the element leaves NULL", NULL, plain));
  g_object_class_install_property (class, PROP_VIEWS_PER_FRAME, g_param_spec_string ("views-per-frame",
      "Views per frame", "Views encoded for each scored frame: a number, all (as published), or auto (as many as keep up)",
      DEFAULT_VIEWS, ready));
  g_object_class_install_property (class, PROP_INTERVAL, g_param_spec_uint64 ("interval", "Interval",
      "At most one frame of each so many nanoseconds is scored; 0: as many as can be", 0, G_MAXUINT64 - 1, 0, playing));
  g_object_class_install_property (class, PROP_ALERT_BELOW, g_param_spec_double ("alert-below", "Alert below",
      "Post maclip-alert where the score stays below this for two seconds, and where it recovers; 0: never", 0,
      G_MAXDOUBLE, NO_ALERT, playing));
  g_object_class_install_property (class, PROP_POST_MESSAGES, g_param_spec_boolean ("post-messages", "Post messages",
      "Post an element message maclip-quality for each scored frame", TRUE, playing));
  g_object_class_install_property (class, PROP_ENGINE, g_param_spec_string ("engine", "Engine",
      "onnxruntime-cpu, onnxruntime-cuda or auto; by default the first", NULL, plain));
  g_object_class_install_property (class, PROP_THREADS, g_param_spec_uint ("threads", "Threads",
      "Threads that score on the CPU; 0: one for each physical core", 0, 1024, 0, plain));
}

static void
maclip_quality_class_init (MaclipQualityClass *class)
{
  GObjectClass *object_class = G_OBJECT_CLASS (class);
  GstElementClass *element_class = GST_ELEMENT_CLASS (class);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  install_properties (object_class);
  element_class->change_state = change_state;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &source_template);
  gst_element_class_set_static_metadata (element_class, "Picture quality", "Filter/Analyzer/Video",
      "Scores video beside the stream, without a reference (MA-CLIP)", "The maclip-edge authors");
}

static void
maclip_quality_init (MaclipQuality *self)
{
  self->views_per_frame = g_strdup (DEFAULT_VIEWS);
  self->alert_below = NO_ALERT;
  self->post_messages = TRUE;
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
