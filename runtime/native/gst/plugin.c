/* The GStreamer plugin `maclip`. */
#include <gst/gst.h>

#include "quality.h"
#include "score_structure.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  maclip_register_meta ();
  return GST_ELEMENT_REGISTER (maclipquality, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, maclip, "No-reference picture quality (MA-CLIP)", plugin_init,
                   MACLIP_PLUGIN_VERSION, "Apache 2.0", "maclip-edge", "maclip-edge")
