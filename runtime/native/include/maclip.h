/*
 * libmaclip: no-reference picture quality on a device, from a bundle that `maclip export` wrote.
 *
 *     maclip_scorer *scorer;
 *     maclip_error error = {.size = sizeof error};
 *     if (maclip_open("rn50.maclip", NULL, &scorer, &error) != MACLIP_OK)
 *         return fprintf(stderr, "%s\n", error.message), 1;
 *     maclip_frame frame = {.size = sizeof frame, .format = MACLIP_FORMAT_RGB, .width = 1920, .height = 1080,
 *                           .planes = {pixels}, .strides = {3 * 1920}};
 *     maclip_result result = {.size = sizeof result};
 *     if (maclip_score(scorer, &frame, &result, &error) == MACLIP_OK)
 *         printf("%f\n", result.score);
 *     maclip_close(scorer);
 *
 * Rules that hold for every function:
 *
 * - Structs carry their own size, so that they can grow: set `size` to `sizeof` the struct, and every field
 *   that is not needed to 0 (an initialiser does both). A size that this library does not know is refused.
 * - What goes wrong is a status other than MACLIP_OK and, where `error` is not NULL, one line that names the
 *   file and what to do. Nothing is written to stdout or stderr, no exception or signal leaves the library, and
 *   it keeps no global state.
 * - Nothing that is passed in is kept: planes, paths and structs may go when the function returns.
 * - After an error the contents of results and readings are undefined; handles are as they were before.
 *
 * Threads: a scorer may be used from several threads at once; it works off one frame at a time, each with
 * all of its own threads. A stream takes one frame at a time, in the order in which its calls come; different
 * streams, also of one scorer, may be used from different threads. A handle must not be closed while another
 * thread uses it. A scorer may be closed before its streams, which keep what they need.
 */
#ifndef MACLIP_H
#define MACLIP_H

#include <stddef.h>
#include <stdint.h>

#if defined(MACLIP_STATIC)
#define MACLIP_API
#else
#define MACLIP_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MACLIP_VERSION_MAJOR 0 /* the soname: libmaclip.so.0 */
#define MACLIP_VERSION_MINOR 1
#define MACLIP_VERSION_PATCH 0

/* What a function returns; the numbers stay. */
typedef enum maclip_status {
  MACLIP_OK = 0,
  MACLIP_ERROR_ARGUMENT = 1, /* NULL, an unknown struct size, word or number: a fault of the caller */
  MACLIP_ERROR_BUNDLE = 2,   /* the bundle is missing, damaged, or made for another version */
  MACLIP_ERROR_ENGINE = 3,   /* the inference engine is missing, or cannot run this bundle here */
  MACLIP_ERROR_FRAME = 4,    /* this frame cannot be scored; others can */
  MACLIP_ERROR_MEMORY = 5,   /* not enough of it */
  MACLIP_ERROR_INTERNAL = 6  /* a fault of this library: please report it */
} maclip_status;

/* What went wrong, in one line of UTF-8 that ends with NUL; a longer one is cut. Empty after MACLIP_OK. */
typedef struct maclip_error {
  size_t size;
  maclip_status status;
  char message[1024];
} maclip_error;

/* A bundle opened with an engine. */
typedef struct maclip_scorer maclip_scorer;

/* The frames of one camera or video in their order, the views refreshed in turns. */
typedef struct maclip_stream maclip_stream;

/* ---- Frames ------------------------------------------------------------------------------------------- */

/* Eight bits a sample. Packed formats have one plane. NV12: luma, then Cb and Cr in turns. I420: luma, Cb, Cr.
 * Chroma planes have half of the columns and rows, rounded up. YUYV: Y, Cb, Y, Cr for each two pixels; a row of
 * odd width ends with a whole group. Alpha is composited on white, as pictures are. */
typedef enum maclip_pixel_format {
  MACLIP_FORMAT_RGB = 1,
  MACLIP_FORMAT_BGR = 2,
  MACLIP_FORMAT_RGBA = 3,
  MACLIP_FORMAT_BGRA = 4,
  MACLIP_FORMAT_GRAY = 5,
  MACLIP_FORMAT_NV12 = 6,
  MACLIP_FORMAT_I420 = 7,
  MACLIP_FORMAT_YUYV = 8,
  MACLIP_FORMAT_RGBX = 9, /* the fourth byte is not looked at */
  MACLIP_FORMAT_BGRX = 10
} maclip_pixel_format;

/* How luma and chroma were made of red, green and blue. DEFAULT: BT.709 from 1280 columns or above 576 lines, BT.601
 * below, as video players take it. Not looked at for other than NV12, I420 and YUYV. */
typedef enum maclip_matrix {
  MACLIP_MATRIX_DEFAULT = 0,
  MACLIP_MATRIX_BT601 = 1,
  MACLIP_MATRIX_BT709 = 2,
  MACLIP_MATRIX_BT2020 = 3
} maclip_matrix;

/* Of luma and chroma: 16 to 235 (chroma to 240), or 0 to 255. DEFAULT: limited for NV12, I420 and YUYV, full for gray;
 * not looked at for the others. */
typedef enum maclip_range {
  MACLIP_RANGE_DEFAULT = 0,
  MACLIP_RANGE_LIMITED = 1,
  MACLIP_RANGE_FULL = 2
} maclip_range;

/* One frame: `width` x `height` pixels. `planes` and `strides` (bytes from one row to the next, at least the bytes
 * of a row): as many as the format has; the others are not looked at. The last row may end with its last
 * pixel. The caller answers for the memory being there. */
typedef struct maclip_frame {
  size_t size;
  maclip_pixel_format format;
  uint32_t width;
  uint32_t height;
  const uint8_t *planes[3];
  size_t strides[3];
  maclip_matrix matrix;
  maclip_range range;
} maclip_frame;

/* ---- Scorers ------------------------------------------------------------------------------------------ */

/* Words are those of the Python runtime; NULL and 0 stand for the defaults. */
typedef struct maclip_options {
  size_t size;
  const char *engine;    /* "onnxruntime-cpu" (default), "onnxruntime-cuda", or "auto": CUDA where it opens, else CPU */
  const char *precision; /* "fp32", "fp16" or "int8"; by default half on a GPU where there is such a graph, else fp32 */
  const char *view_mode; /* "exact" (default, as published) or "dense": neighbouring windows together (ResNets) */
  uint32_t threads;      /* CPU threads; by default one per physical core */
  uint32_t device;       /* number of the GPU */
  uint32_t micro_batch;  /* views encoded at a time, which bounds the memory; by default 8, and 32 on a GPU */
  const char *onnxruntime_library; /* path of libonnxruntime.so; by default the environment's MACLIP_ONNXRUNTIME_LIBRARY,
                                    * then what the dynamic loader finds as libonnxruntime.so.1 and libonnxruntime.so */
  const char *trusted_keys; /* a public Ed25519 key in PEM, or a folder of some: only bundles that one of them signed
                             * are opened; by default the environment's MACLIP_TRUSTED_KEYS */
} maclip_options;

/* What a scorer is; the strings are its own and last as long as it does. */
typedef struct maclip_info {
  size_t size;
  const char *bundle;      /* the bundle's name, by which results refer to it */
  const char *engine;      /* as options have it, never "auto" */
  const char *precision;
  const char *view_mode;
  uint32_t view_size;      /* S, pixels: a smaller frame is enlarged */
  uint32_t view_stride;    /* T, pixels from window to window */
  uint32_t features;       /* D */
  uint32_t attributes;     /* K, prompt pairs */
} maclip_info;

/* Open the bundle in the folder `path` and load its encoder. `options` may be NULL. On success `*scorer` is the
 * caller's to close; on error it is NULL. Takes what loading the graph takes: RN50 a second or so. */
MACLIP_API maclip_status maclip_open(const char *path, const maclip_options *options, maclip_scorer **scorer,
                                     maclip_error *error);

/* Close a scorer; NULL is none. */
MACLIP_API void maclip_close(maclip_scorer *scorer);

MACLIP_API maclip_status maclip_describe(const maclip_scorer *scorer, maclip_info *info, maclip_error *error);

/* The name of the attribute `index`, 0 to K - 1, such as "sharpness"; it lasts as long as the scorer. NULL if
 * there is none. Attributes in results have this order. */
MACLIP_API const char *maclip_attribute_name(const maclip_scorer *scorer, uint32_t index);

/* The number of views V of frames of this size: the windows, row by row, and the global view as the last. */
MACLIP_API maclip_status maclip_count_views(const maclip_scorer *scorer, uint32_t width, uint32_t height,
                                            uint32_t *views, maclip_error *error);

/* ---- Results ------------------------------------------------------------------------------------------ */

/* The quality of a frame; higher is better. The caller's arrays are filled where they are not NULL; an array
 * too small is refused with MACLIP_ERROR_ARGUMENT, before anything is computed.
 * Numbers are means over the views. */
typedef struct maclip_result {
  size_t size;
  float score;
  float similarity;   /* cue of the features' direction, 0..1 */
  float magnitude;    /* cue of their magnitude */
  float weight;       /* of the similarity cue, 0..1 */
  uint32_t views;     /* V */
  uint32_t width;     /* of the frame, before it was enlarged */
  uint32_t height;
  uint32_t enlarged;  /* 1: smaller than a view, and scaled up first, which is out of the published method */

  float *attributes;            /* [K] probabilities of the good prompts, 0..1, or NULL */
  uint32_t attributes_capacity; /* floats in it */

  uint32_t views_capacity;  /* views that each of the following arrays has room for */
  float *view_score;        /* [V] each, or NULL; the windows row by row, the global view last */
  float *view_similarity;
  float *view_magnitude;
  float *view_weight;
  float *view_attributes;   /* [V, K] row by row, or NULL */
} maclip_result;

/* Score a frame as published: every view of it, or, in view mode "dense", blocks of them. After the first frame of
 * a size nothing is allocated by this library (the engine may). */
MACLIP_API maclip_status maclip_score(maclip_scorer *scorer, const maclip_frame *frame, maclip_result *result,
                                      maclip_error *error);

/* Where in a frame a quantity is high or low. The cell in row r and column c covers `cell` x `cell` pixels of the
 * frame that was scored (the enlarged one where it was) from (c * cell, r * cell) on; `box` is the left, top, right
 * and bottom of the map in pixels of the frame that came. */
typedef struct maclip_map {
  size_t size;
  uint32_t rows;
  uint32_t columns;
  uint32_t cell;
  float box[4];
  float *values;            /* [rows, columns], or NULL: then the rest is filled in, to learn what room it takes */
  uint32_t values_capacity; /* floats in it */
} maclip_map;

/* The map of a result of this scorer. `quantity`: "score", "similarity", "magnitude", or an attribute's name; the
 * result must have been filled with its array (view_score, ..., view_attributes), unless `map->values` is NULL. */
MACLIP_API maclip_status maclip_blend_map(const maclip_scorer *scorer, const maclip_result *result,
                                          const char *quantity, maclip_map *map, maclip_error *error);

/* ---- Streams ------------------------------------------------------------------------------------------ */

#define MACLIP_VIEWS_ALL 0xFFFFFFFFu  /* the published method on every frame */
#define MACLIP_VIEWS_AUTO 0xFFFFFFFEu /* as many as keep up */

typedef struct maclip_stream_options {
  size_t size;
  uint32_t views_per_frame; /* encoded for each frame, at most; 0: 8, as in Python */
  double budget;            /* seconds that a frame may take, for MACLIP_VIEWS_AUTO; 0: the time between frames */
} maclip_stream_options;

/* What a stream says of a frame beside its result. */
typedef struct maclip_reading {
  size_t size;
  uint64_t frame;     /* counts from 0, also frames that were refused */
  double time;        /* as it was given */
  uint32_t refreshed; /* views that were encoded for this frame */
  uint32_t scene;     /* 1: a scene begins with this frame, as with the first and every change of size */
  float fresh;        /* 0..1, the part of the views encoded since they last changed suddenly */
  float detail;       /* fine detail, in 8-bit steps between neighbouring pixels; a covered lens has next to none */
} maclip_reading;

/* Begin a stream. `options` may be NULL. On success `*stream` is the caller's to close; on error it is NULL. */
MACLIP_API maclip_status maclip_stream_open(maclip_scorer *scorer, const maclip_stream_options *options,
                                            maclip_stream **stream, maclip_error *error);

/* Score the next frame, shown at `time` in seconds: at most `views_per_frame` of its views are encoded, the others
 * taken from earlier frames. The result's numbers are means over all views. `reading` may be NULL. After an error
 * the stream goes on with the next frame. */
MACLIP_API maclip_status maclip_stream_push(maclip_stream *stream, const maclip_frame *frame, double time,
                                            maclip_result *result, maclip_reading *reading, maclip_error *error);

/* End a stream; NULL is none. */
MACLIP_API void maclip_stream_close(maclip_stream *stream);

/* The library's version, such as "0.1.0". */
MACLIP_API const char *maclip_version(void);

/* A status in words, such as "unusable bundle". */
MACLIP_API const char *maclip_status_name(maclip_status status);

#ifdef __cplusplus
}
#endif

#endif
