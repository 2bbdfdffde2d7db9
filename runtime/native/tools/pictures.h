/* JPEG and PNG files to frames, converted as maclip_runtime/sources/pictures.py converts them. */
#ifndef MACLIP_PICTURES_H
#define MACLIP_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* RGB, or RGBA where the picture has transparency; rows without gaps. `pixels` is freed with free(). */
typedef struct picture {
  uint8_t *pixels;
  uint32_t width;
  uint32_t height;
  uint32_t channels;
} picture;

/* 1, or 0 with the reason in `reason`. `data`: the file's bytes. */
int read_picture(const uint8_t *data, size_t size, picture *out, char *reason, size_t room);

#ifdef __cplusplus
}
#endif

#endif
