/* The quality of one raw RGB frame: score_frame BUNDLE WIDTH HEIGHT < frame.rgb
 *
 *   cc score_frame.c -o score_frame $(pkg-config --cflags --libs maclip)
 */
#include <maclip.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words) {
  if (count != 4) return fprintf(stderr, "usage: score_frame BUNDLE WIDTH HEIGHT < frame.rgb\n"), 2;
  const uint32_t width = strtoul(words[2], NULL, 10), height = strtoul(words[3], NULL, 10);
  const size_t stride = (size_t)3 * width;
  uint8_t *pixels = malloc(stride * height + 1);
  if (pixels == NULL || fread(pixels, 1, stride * height, stdin) != stride * height)
    return fprintf(stderr, "stdin holds less than a frame\n"), 1;

  maclip_scorer *scorer;
  maclip_error error = {.size = sizeof error};
  if (maclip_open(words[1], NULL, &scorer, &error) != MACLIP_OK) return fprintf(stderr, "%s\n", error.message), 1;
  maclip_frame frame = {.size = sizeof frame, .format = MACLIP_FORMAT_RGB, .width = width, .height = height,
                        .planes = {pixels}, .strides = {stride}};
  maclip_result result = {.size = sizeof result};
  if (maclip_score(scorer, &frame, &result, &error) != MACLIP_OK) return fprintf(stderr, "%s\n", error.message), 1;
  printf("%.7f\n", result.score);
  maclip_close(scorer);
  free(pixels);
  return 0;
}
