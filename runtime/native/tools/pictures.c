/* C, because both libraries leave by longjmp, which no C++ object may stand in the way of. */
#include "pictures.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>
#include <png.h>

static const uint64_t most_pixels = 114000000; /* as in Python */

/* Room for the pixels; 0 with the reason where there are too many, or none. */
static int make_room(picture *out, char *reason, size_t room) {
  const uint64_t pixels = (uint64_t)out->width * out->height;
  if (pixels == 0)
    snprintf(reason, room, "has no pixels");
  else if (pixels > most_pixels)
    snprintf(reason, room, "more than 114 megapixels; scale it down first");
  else if ((out->pixels = malloc((size_t)pixels * out->channels)) == NULL)
    snprintf(reason, room, "not enough memory to decode it; scale it down first");
  return out->pixels != NULL;
}

/* ---- JPEG ------------------------------------------------------------------------------------------- */

typedef struct jpeg_fault {
  struct jpeg_error_mgr manager; /* first: the library knows it alone */
  jmp_buf back;
  char text[JMSG_LENGTH_MAX];
} jpeg_fault;

static void leave_jpeg(j_common_ptr reader) {
  jpeg_fault *fault = (jpeg_fault *)reader->err;
  reader->err->format_message(reader, fault->text);
  longjmp(fault->back, 1);
}

/* The library fills up a file that is cut off with gray, and only warns. */
static void notice_jpeg(j_common_ptr reader, int level) {
  if (level < 0 && reader->err->msg_code == JWRN_JPEG_EOF) leave_jpeg(reader);
}

static int read_jpeg(const uint8_t *data, size_t size, picture *out, char *reason, size_t room) {
  struct jpeg_decompress_struct reader;
  jpeg_fault fault;
  memset(&reader, 0, sizeof reader);
  reader.err = jpeg_std_error(&fault.manager);
  fault.manager.error_exit = leave_jpeg;
  fault.manager.emit_message = notice_jpeg;
  if (setjmp(fault.back)) {
    snprintf(reason, room, "cannot be read: %s", fault.text);
    jpeg_destroy_decompress(&reader);
    return 0;
  }
  jpeg_create_decompress(&reader);
  jpeg_mem_src(&reader, data, (unsigned long)size);
  jpeg_read_header(&reader, TRUE);
  if (reader.jpeg_color_space == JCS_CMYK || reader.jpeg_color_space == JCS_YCCK) {
    snprintf(reason, room, "a CMYK picture; convert it to RGB first");
    jpeg_destroy_decompress(&reader);
    return 0;
  }
  reader.out_color_space = JCS_RGB;
  out->width = reader.image_width;
  out->height = reader.image_height;
  out->channels = 3;
  if (!make_room(out, reason, room)) {
    jpeg_destroy_decompress(&reader);
    return 0;
  }
  jpeg_start_decompress(&reader);
  while (reader.output_scanline < reader.output_height) {
    JSAMPROW row = out->pixels + (size_t)reader.output_scanline * out->width * 3;
    jpeg_read_scanlines(&reader, &row, 1);
  }
  jpeg_finish_decompress(&reader);
  jpeg_destroy_decompress(&reader);
  return 1;
}

/* ---- PNG -------------------------------------------------------------------------------------------- */

typedef struct png_input {
  const uint8_t *data;
  size_t left;
  char text[128];
} png_input;

static void give_png(png_structp reader, png_bytep to, size_t count) {
  png_input *input = png_get_io_ptr(reader);
  if (count > input->left) png_error(reader, "the file is cut off");
  memcpy(to, input->data, count);
  input->data += count;
  input->left -= count;
}

static void leave_png(png_structp reader, png_const_charp message) {
  png_input *input = png_get_error_ptr(reader);
  snprintf(input->text, sizeof input->text, "%s", message);
  png_longjmp(reader, 1);
}

static void ignore_png(png_structp reader, png_const_charp message) {
  (void)reader;
  (void)message;
}

static int read_png(const uint8_t *data, size_t size, picture *out, char *reason, size_t room) {
  png_input input = {data, size, ""};
  png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, leave_png, ignore_png);
  png_infop info = reader == NULL ? NULL : png_create_info_struct(reader);
  if (info == NULL) {
    png_destroy_read_struct(&reader, NULL, NULL);
    snprintf(reason, room, "not enough memory to decode it; scale it down first");
    return 0;
  }
  png_bytep *volatile rows = NULL;
  if (setjmp(png_jmpbuf(reader))) {
    snprintf(reason, room, "cannot be read: %s", input.text);
    png_destroy_read_struct(&reader, &info, NULL);
    free(rows);
    return 0;
  }
  png_set_read_fn(reader, &input, give_png);
  png_read_info(reader, info);
  /* Palette, gray and fewer bits to RGB of eight; of 16 bits the high byte; transparency to alpha. */
  png_set_expand(reader);
  png_set_strip_16(reader);
  png_set_gray_to_rgb(reader);
  png_set_interlace_handling(reader);
  png_read_update_info(reader, info);
  out->width = png_get_image_width(reader, info);
  out->height = png_get_image_height(reader, info);
  out->channels = png_get_channels(reader, info);
  if (!make_room(out, reason, room)) {
    png_destroy_read_struct(&reader, &info, NULL);
    return 0;
  }
  rows = malloc(out->height * sizeof *rows);
  if (rows == NULL) png_error(reader, "not enough memory");
  for (uint32_t y = 0; y < out->height; ++y) rows[y] = out->pixels + (size_t)y * out->width * out->channels;
  png_read_image(reader, rows);
  png_read_end(reader, NULL);
  png_destroy_read_struct(&reader, &info, NULL);
  free(rows);
  return 1;
}

int read_picture(const uint8_t *data, size_t size, picture *out, char *reason, size_t room) {
  memset(out, 0, sizeof *out);
  int done = 0;
  if (size == 0)
    snprintf(reason, room, "empty file");
  else if (size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
    done = read_jpeg(data, size, out, reason, room);
  else if (size >= 8 && png_sig_cmp(data, 0, 8) == 0)
    done = read_png(data, size, out, reason, room);
  else
    snprintf(reason, room, "not a picture in a known format (JPEG, PNG)");
  if (!done) {
    free(out->pixels);
    out->pixels = NULL;
  }
  return done;
}
