#include "quality_private.h"

#define DEFAULT_VIEWS "8"

enum {
  PROP_BUNDLE = 1,
  PROP_VIEWS_PER_FRAME,
  PROP_INTERVAL,
  PROP_ALERT_BELOW,
  PROP_POST_MESSAGES,
  PROP_ENGINE,
  PROP_THREADS
};

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

void
maclip_quality_install_properties (GObjectClass *class)
{
  class->set_property = set_property;
  class->get_property = get_property;
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
      G_MAXDOUBLE, MACLIP_NO_ALERT, playing));
  g_object_class_install_property (class, PROP_POST_MESSAGES, g_param_spec_boolean ("post-messages", "Post messages",
      "Post an element message maclip-quality for each scored frame", TRUE, playing));
  g_object_class_install_property (class, PROP_ENGINE, g_param_spec_string ("engine", "Engine",
      "onnxruntime-cpu, onnxruntime-cuda or auto; by default the first", NULL, plain));
  g_object_class_install_property (class, PROP_THREADS, g_param_spec_uint ("threads", "Threads",
      "Threads that score on the CPU; 0: one for each physical core", 0, 1024, 0, plain));
}

void
maclip_quality_init_properties (MaclipQuality *self)
{
  self->views_per_frame = g_strdup (DEFAULT_VIEWS);
  self->alert_below = MACLIP_NO_ALERT;
  self->post_messages = TRUE;
}
