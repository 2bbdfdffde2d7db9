/* maclipquality in GStreamer's harness: what becomes of buffers and references. That scores are right is tested in
 * tests/native. Run under GStreamer's leaks tracer, and with sanitizers where they are built in. */
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH 256
#define HEIGHT 240
#define CAPS(format, width, height) \
  "video/x-raw,format=" format ",width=" #width ",height=" #height ",framerate=25/1"

static int failures = 0;

static void
expect (gboolean holds, const char *what)
{
  if (holds)
    return;
  fprintf (stderr, "failed: %s\n", what);
  ++failures;
}

static GstHarness *
open_harness (void)
{
  GstElement *element = gst_element_factory_make ("maclipquality", NULL);
  g_object_set (element, "bundle", getenv ("MACLIP_TEST_BUNDLE"), "views-per-frame", "1", "threads", 1u, NULL);
  GstHarness *harness = gst_harness_new_with_element (element, "sink", "src");
  gst_object_unref (element);
  gst_harness_play (harness);
  expect (GST_STATE (harness->element) == GST_STATE_PLAYING, "it starts (is MACLIP_ONNXRUNTIME_LIBRARY set?)");
  return harness;
}

static GstBuffer *
make_buffer (gsize size, guint number)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  gst_buffer_memset (buffer, 0, (guint8) (number * 37), size);
  GST_BUFFER_PTS (buffer) = number * 40 * GST_MSECOND;
  return buffer;
}

static void
buffers_come_out_with_the_memory_that_they_came_in_with (void)
{
  GstHarness *harness = open_harness ();
  gst_harness_set_src_caps_str (harness, CAPS ("RGB", 256, 240));
  for (guint number = 0; number < 40; ++number) {
    GstBuffer *in = make_buffer (3 * WIDTH * HEIGHT, number);
    GstMemory *memory = gst_memory_ref (gst_buffer_peek_memory (in, 0));
    GstBuffer *out = gst_harness_push_and_pull (harness, in);
    expect (gst_buffer_n_memory (out) == 1 && gst_buffer_peek_memory (out, 0) == memory, "no pixel is copied");
    expect (GST_BUFFER_PTS (out) == number * 40 * GST_MSECOND, "its time is the same");
    gst_buffer_unref (out);
    gst_memory_unref (memory);
  }
  gst_harness_teardown (harness);
}

/* One buffer waits, one is copied, one comes: none is held for as long as a scoring takes. */
static void
three_buffers_are_enough_for_a_camera (void)
{
  GstHarness *harness = open_harness ();
  GstCaps *caps = gst_caps_from_string (CAPS ("GRAY8", 256, 240));
  gst_harness_set_src_caps (harness, gst_caps_ref (caps));
  GstBufferPool *pool = gst_buffer_pool_new ();
  GstStructure *config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, WIDTH * HEIGHT, 3, 3);
  gst_buffer_pool_set_config (pool, config);
  gst_buffer_pool_set_active (pool, TRUE);
  GstBufferPoolAcquireParams at_once = { .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT };
  guint late = 0;
  for (guint number = 0; number < 300; ++number) {
    GstBuffer *buffer = NULL;
    if (gst_buffer_pool_acquire_buffer (pool, &buffer, &at_once) != GST_FLOW_OK) {
      ++late;
      continue;
    }
    GST_BUFFER_PTS (buffer) = number * 40 * GST_MSECOND;
    gst_buffer_unref (gst_harness_push_and_pull (harness, buffer));
  }
  expect (late == 0, "a pool of three buffers always has one");
  gst_harness_teardown (harness);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  gst_caps_unref (caps);
}

static void
caps_may_change_and_flushes_come_while_frames_are_scored (void)
{
  static const struct {
    const char *caps;
    gsize size;
  } kinds[] = {
    { CAPS ("NV12", 256, 240), 256 * 240 * 3 / 2 },
    { CAPS ("RGBx", 400, 300), 400 * 300 * 4 },
    { CAPS ("GRAY8", 64, 48), 64 * 48 },
  };
  GstHarness *harness = open_harness ();
  guint number = 0;
  for (guint round = 0; round < 12; ++round) {
    gst_harness_set_src_caps_str (harness, kinds[round % 3].caps);
    for (guint frame = 0; frame < 5; ++frame)
      gst_harness_push (harness, make_buffer (kinds[round % 3].size, number++));
    if (round % 4 == 3) {
      gst_harness_push_event (harness, gst_event_new_flush_start ());
      gst_harness_push_event (harness, gst_event_new_flush_stop (TRUE));
      GstSegment segment;
      gst_segment_init (&segment, GST_FORMAT_TIME);
      gst_harness_push_event (harness, gst_event_new_segment (&segment));
    }
  }
  expect (gst_harness_buffers_received (harness) == 60, "every buffer comes out");
  gst_harness_teardown (harness);
}

static void
an_end_of_stream_goes_on_once_all_is_scored (void)
{
  GstHarness *harness = open_harness ();
  GstBus *bus = gst_bus_new ();
  gst_element_set_bus (harness->element, bus);
  gst_harness_set_src_caps_str (harness, CAPS ("RGB", 256, 240));
  for (guint number = 0; number < 3; ++number)
    gst_harness_push (harness, make_buffer (3 * WIDTH * HEIGHT, number));
  gst_harness_push_event (harness, gst_event_new_eos ());
  guint64 last = 0;
  GstMessage *message;
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT)) != NULL) {
    gst_structure_get_uint64 (gst_message_get_structure (message), "frame", &last);
    gst_message_unref (message);
  }
  expect (last == 2, "the last frame's score is on the bus when the end comes");
  gst_element_set_bus (harness->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (harness);
}

static void
it_may_be_stopped_while_it_scores (void)
{
  GstHarness *harness = open_harness ();
  gst_harness_set_src_caps_str (harness, CAPS ("RGB", 256, 240));
  for (guint round = 0; round < 10; ++round) {
    for (guint number = 0; number < 3; ++number)
      gst_harness_push (harness, make_buffer (3 * WIDTH * HEIGHT, number));
    const GstState state = round % 2 == 0 ? GST_STATE_READY : GST_STATE_NULL;
    expect (gst_element_set_state (harness->element, state) == GST_STATE_CHANGE_SUCCESS, "it stops");
    expect (gst_element_set_state (harness->element, GST_STATE_PLAYING) == GST_STATE_CHANGE_SUCCESS, "it starts again");
    gst_harness_set_src_caps_str (harness, CAPS ("RGB", 256, 240));
  }
  gst_harness_teardown (harness);
}

static GstPadProbeReturn
answer_allocation (GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
  (void) pad;
  (void) user;
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return GST_PAD_PROBE_OK;
  gst_query_add_allocation_pool (query, NULL, 1000, 2, 3);
  gst_query_add_allocation_pool (query, NULL, 1000, 4, 0);
  return GST_PAD_PROBE_HANDLED;
}

static void
it_asks_for_one_more_buffer_than_what_comes_after_it (void)
{
  GstHarness *harness = open_harness ();
  gst_harness_set_src_caps_str (harness, CAPS ("RGB", 256, 240));
  GstPad *source = gst_element_get_static_pad (harness->element, "src");
  gst_pad_add_probe (source, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM | GST_PAD_PROBE_TYPE_PUSH, answer_allocation, NULL, NULL);
  GstCaps *caps = gst_caps_from_string (CAPS ("RGB", 256, 240));
  GstQuery *query = gst_query_new_allocation (caps, TRUE);
  expect (gst_pad_peer_query (harness->srcpad, query), "the query is answered");
  guint size, least, most;
  expect (gst_query_get_n_allocation_pools (query) == 2, "with both pools");
  gst_query_parse_nth_allocation_pool (query, 0, NULL, &size, &least, &most);
  expect (size == 1000 && least == 3 && most == 4, "a pool with a limit grows");
  gst_query_parse_nth_allocation_pool (query, 1, NULL, &size, &least, &most);
  expect (least == 5 && most == 0, "one without a limit has none");
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_object_unref (source);
  gst_harness_teardown (harness);
}

static void
a_buffer_before_any_caps_is_refused (void)
{
  GstHarness *harness = open_harness ();
  GstPad *sink = gst_element_get_static_pad (harness->element, "sink");
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_send_event (sink, gst_event_new_stream_start ("test"));
  gst_pad_send_event (sink, gst_event_new_segment (&segment));
  expect (gst_pad_chain (sink, make_buffer (100, 0)) == GST_FLOW_NOT_NEGOTIATED, "not negotiated");
  gst_object_unref (sink);
  gst_harness_teardown (harness);
}

static void
an_element_that_does_not_start_leaves_nothing_behind (void)
{
  GstElement *element = gst_element_factory_make ("maclipquality", NULL);
  expect (gst_element_set_state (element, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE, "without a bundle");
  g_object_set (element, "bundle", "/nowhere", NULL);
  expect (gst_element_set_state (element, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE, "without a real one");
  g_object_set (element, "bundle", getenv ("MACLIP_TEST_BUNDLE"), "views-per-frame", "some", NULL);
  expect (gst_element_set_state (element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE, "with senseless views");
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (element);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  buffers_come_out_with_the_memory_that_they_came_in_with ();
  three_buffers_are_enough_for_a_camera ();
  caps_may_change_and_flushes_come_while_frames_are_scored ();
  an_end_of_stream_goes_on_once_all_is_scored ();
  it_may_be_stopped_while_it_scores ();
  it_asks_for_one_more_buffer_than_what_comes_after_it ();
  a_buffer_before_any_caps_is_refused ();
  an_element_that_does_not_start_leaves_nothing_behind ();
  gst_deinit (); /* the leaks tracer says now what is still alive */
  return failures == 0 ? 0 : 1;
}
