#include "background.h"

#include <stdlib.h>
#include <string.h>

#include "frame_copy.h"

struct _MaclipBackground {
  maclip_scorer *scorer;
  maclip_stream_options options;
  MaclipScored scored;
  MaclipFailed failed;
  gpointer user;
  GThread *thread;

  /* The thread's own. */
  maclip_stream *stream;
  guint stream_epoch; /* of the last restart that the stream has seen */
  MaclipFrameCopy copy;
  float *attributes;
  uint32_t attribute_count;

  GMutex lock; /* of all below */
  GCond changed;
  MaclipArrival waiting; /* its buffer is NULL where none waits */
  GstStructure *latest;
  guint64 dropped;
  guint epoch; /* restarts so far */
  gboolean busy;
  gboolean interrupted;
  gboolean ending;
};

/* A new stream after a restart: its turns know nothing of the frames before. Frames that are dropped make others look
 * further apart, so that "auto" is told how much time there is. */
static gboolean
follow_epoch (MaclipBackground *background, guint epoch, double spacing, maclip_error *error)
{
  if (background->stream != NULL && background->stream_epoch == epoch)
    return TRUE;
  maclip_stream_close (background->stream);
  background->stream_epoch = epoch;
  background->options.budget = spacing;
  return maclip_stream_open (background->scorer, &background->options, &background->stream, error) == MACLIP_OK;
}

/* The score of a frame, or NULL with the reason in `error`. */
static GstStructure *
score (MaclipBackground *background, MaclipArrival *arrival, guint epoch, guint64 dropped, double time,
       maclip_error *error)
{
  maclip_frame frame;
  const gboolean taken = maclip_frame_copy_take (&background->copy, arrival->buffer, &arrival->info, &frame);
  gst_clear_buffer (&arrival->buffer); /* its memory may be one of few that a camera has */
  if (!taken) {
    g_strlcpy (error->message, "the buffer is shorter than its caps say, or cannot be mapped", sizeof error->message);
    return NULL;
  }
  if (!follow_epoch (background, epoch, arrival->spacing, error))
    return NULL;
  maclip_result result = { .size = sizeof result, .attributes = background->attributes,
                           .attributes_capacity = background->attribute_count };
  maclip_reading reading = { .size = sizeof reading };
  if (maclip_stream_push (background->stream, &frame, time, &result, &reading, error) != MACLIP_OK)
    return NULL;
  return maclip_describe_score (arrival, background->scorer, &result, &reading, dropped);
}

/* Seconds; of the system's clock where buffers have no times. */
static double
find_time (const MaclipArrival *arrival)
{
  if (GST_CLOCK_TIME_IS_VALID (arrival->running_time))
    return (double) arrival->running_time / GST_SECOND;
  return (double) g_get_monotonic_time () / G_USEC_PER_SEC;
}

/* The score becomes the latest, unless there was a restart meanwhile. */
static gboolean
keep (MaclipBackground *background, const GstStructure *scored, guint epoch)
{
  g_mutex_lock (&background->lock);
  const gboolean current = background->epoch == epoch && !background->ending;
  if (current && scored != NULL) {
    g_clear_pointer (&background->latest, gst_structure_free);
    background->latest = gst_structure_copy (scored);
  }
  g_mutex_unlock (&background->lock);
  return current;
}

static gpointer
work (gpointer data)
{
  MaclipBackground *background = data;
  g_mutex_lock (&background->lock);
  while (!background->ending) {
    if (background->waiting.buffer == NULL) {
      g_cond_wait (&background->changed, &background->lock);
      continue;
    }
    MaclipArrival arrival = background->waiting;
    background->waiting.buffer = NULL;
    background->busy = TRUE;
    const guint epoch = background->epoch;
    const guint64 dropped = background->dropped;
    g_mutex_unlock (&background->lock);
    const double time = find_time (&arrival);

    maclip_error error = { .size = sizeof error };
    GstStructure *scored = score (background, &arrival, epoch, dropped, time, &error);
    if (keep (background, scored, epoch)) {
      if (scored != NULL)
        background->scored (scored, time, background->user);
      else
        background->failed (error.message, background->user);
    }
    g_clear_pointer (&scored, gst_structure_free);

    g_mutex_lock (&background->lock);
    background->busy = FALSE;
    g_cond_broadcast (&background->changed);
  }
  g_mutex_unlock (&background->lock);
  return NULL;
}

MaclipBackground *
maclip_background_new (maclip_scorer *scorer, guint32 views_per_frame, MaclipScored scored, MaclipFailed failed,
                       gpointer user, maclip_error *error)
{
  MaclipBackground *background = g_new0 (MaclipBackground, 1);
  background->scorer = scorer;
  background->options = (maclip_stream_options){ .size = sizeof background->options,
                                                 .views_per_frame = views_per_frame };
  background->scored = scored;
  background->failed = failed;
  background->user = user;
  while (maclip_attribute_name (scorer, background->attribute_count) != NULL)
    ++background->attribute_count;
  background->attributes = g_new0 (float, background->attribute_count);
  g_mutex_init (&background->lock);
  g_cond_init (&background->changed);
  /* What is wrong with the options is known at once; the first frame's own stream begins with epoch 1. */
  if (!follow_epoch (background, 0, 0, error)) {
    maclip_background_free (background);
    return NULL;
  }
  background->epoch = 1;
  background->thread = g_thread_new ("maclipquality", work, background);
  return background;
}

void
maclip_background_free (MaclipBackground *background)
{
  g_mutex_lock (&background->lock);
  background->ending = TRUE;
  g_cond_broadcast (&background->changed);
  g_mutex_unlock (&background->lock);
  if (background->thread != NULL)
    g_thread_join (background->thread);
  gst_clear_buffer (&background->waiting.buffer);
  g_clear_pointer (&background->latest, gst_structure_free);
  maclip_stream_close (background->stream);
  maclip_frame_copy_clear (&background->copy);
  g_free (background->attributes);
  g_mutex_clear (&background->lock);
  g_cond_clear (&background->changed);
  g_free (background);
}

void
maclip_background_submit (MaclipBackground *background, const MaclipArrival *arrival)
{
  g_mutex_lock (&background->lock);
  GstBuffer *replaced = background->waiting.buffer;
  if (replaced != NULL)
    ++background->dropped;
  background->waiting = *arrival;
  g_cond_broadcast (&background->changed);
  g_mutex_unlock (&background->lock);
  gst_clear_buffer (&replaced); /* outside: its last reference may call into a pool */
}

void
maclip_background_drop (MaclipBackground *background)
{
  g_mutex_lock (&background->lock);
  GstBuffer *dropped = background->waiting.buffer;
  background->waiting.buffer = NULL;
  g_cond_broadcast (&background->changed);
  g_mutex_unlock (&background->lock);
  gst_clear_buffer (&dropped);
}

gboolean
maclip_background_drain (MaclipBackground *background)
{
  g_mutex_lock (&background->lock);
  while ((background->busy || background->waiting.buffer != NULL) && !background->interrupted)
    g_cond_wait (&background->changed, &background->lock);
  const gboolean drained = !background->interrupted;
  g_mutex_unlock (&background->lock);
  return drained;
}

void
maclip_background_interrupt (MaclipBackground *background)
{
  g_mutex_lock (&background->lock);
  background->interrupted = TRUE;
  g_cond_broadcast (&background->changed);
  g_mutex_unlock (&background->lock);
}

void
maclip_background_restart (MaclipBackground *background)
{
  g_mutex_lock (&background->lock);
  GstBuffer *dropped = background->waiting.buffer;
  background->waiting.buffer = NULL;
  g_clear_pointer (&background->latest, gst_structure_free);
  ++background->epoch;
  background->interrupted = FALSE;
  g_cond_broadcast (&background->changed);
  g_mutex_unlock (&background->lock);
  gst_clear_buffer (&dropped);
}

GstBuffer *
maclip_background_mark (MaclipBackground *background, GstBuffer *buffer)
{
  g_mutex_lock (&background->lock);
  if (background->latest != NULL) {
    buffer = gst_buffer_make_writable (buffer);
    maclip_add_meta (buffer, background->latest);
  }
  g_mutex_unlock (&background->lock);
  return buffer;
}
