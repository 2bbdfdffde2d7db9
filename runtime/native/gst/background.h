/* Scoring beside the stream: a thread that takes the newest frame, scores it and says so.
 *
 * At most one frame is scored and one waits; a newer one takes the place of the one that waits. Whoever submits
 * a frame never waits for a score. */
#pragma once

#include "score_structure.h"

G_BEGIN_DECLS

typedef struct _MaclipBackground MaclipBackground;

/* Called from the thread with a frame's score (borrowed) and its time in seconds, or with why there is none. */
typedef void (*MaclipScored) (const GstStructure *score, double time, gpointer user);
typedef void (*MaclipFailed) (const char *message, gpointer user);

/* Start the thread. The scorer must outlast it. NULL: the stream cannot be opened, and `error` says why. */
MaclipBackground *maclip_background_new (maclip_scorer *scorer, guint32 views_per_frame, MaclipScored scored,
                                         MaclipFailed failed, gpointer user, maclip_error *error);

/* End the thread, after the frame that it scores now, and free everything. */
void maclip_background_free (MaclipBackground *background);

/* Hand over the newest frame; takes over its buffer. */
void maclip_background_submit (MaclipBackground *background, const MaclipArrival *arrival);

/* Let go of the frame that waits. */
void maclip_background_drop (MaclipBackground *background);

/* Wait until all that was submitted is scored. FALSE: it was interrupted. */
gboolean maclip_background_drain (MaclipBackground *background);

/* End `drain`, also those to come, until the next restart. */
void maclip_background_interrupt (MaclipBackground *background);

/* Begin anew after a flush: what waits or is being scored is forgotten, and so are all scores. */
void maclip_background_restart (MaclipBackground *background);

/* Put the newest score, where there is one, onto a buffer: takes it over, and gives it back or a writable copy that
 * shares its pixels. */
GstBuffer *maclip_background_mark (MaclipBackground *background, GstBuffer *buffer);

G_END_DECLS
