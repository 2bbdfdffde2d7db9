"""Frames through the element maclipquality: what becomes of each buffer, and what is said of it.

Run by Debian's own Python, which has GStreamer's bindings:

    /usr/bin/python3 play_pipeline.py < job.json > report.json

A job: `element`, its properties; `after`, what follows it in the pipeline; `pixels`, a file of raw frames;
`hold`, whether scorings are held, which needs hold_scoring.c before the library; and `steps`, in order:

- {"caps": ...} the caps of the frames from here on
- {"frame": [[offset, rows, row_bytes], ...], "time": nanoseconds} a frame's planes in the file `pixels`
- {"await": "score"} wait for the frame's score, or the warning that there is none
- {"await": "entered"} until its scoring began
- {"await": "buffers"} until every buffer so far has come out
- {"open": true} let go of all scorings, also those to come
- {"flush": true}, {"cycle": true} flush; to NULL and back to PLAYING
- {"set": {property: value}}
- {"eos": true}

The report: `messages`, structures of the element's messages; `warnings`; `error`; `sha256` of the buffers
that went in; `buffers` that came out, each with its `sha256`, `time` and `meta`; `out`, after each wait for
buffers, how many were out and how many messages had come.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstApp, GstVideo  # noqa: E402, F401  GstApp gives appsrc its methods

WAIT = 20 * Gst.SECOND  # only ever waited for where something is broken


def to_dict(structure: Gst.Structure) -> dict[str, object]:
    """A structure's fields, with those of structures in it."""
    fields: dict[str, object] = {"name": structure.get_name()}
    for place in range(structure.n_fields()):
        name = structure.nth_field_name(place)
        value = structure.get_value(name)
        fields[name] = to_dict(value) if isinstance(value, Gst.Structure) else value
    return fields


class Player:
    """A pipeline appsrc ! maclipquality ! appsink, and what it reports."""

    def __init__(self, job: dict) -> None:
        self._job = job
        self._pixels = Path(job["pixels"]).read_bytes() if "pixels" in job else b""
        self._pipeline = Gst.parse_launch(
            f"appsrc name=source format=time ! maclipquality name=quality ! {job['after']} "
            "! appsink name=sink sync=false wait-on-eos=false"
        )
        self._source = self._pipeline.get_by_name("source")
        self._quality = self._pipeline.get_by_name("quality")
        self._sink = self._pipeline.get_by_name("sink")
        self._bus = self._pipeline.get_bus()
        if job.get("hold"):
            self._entered, entered = os.pipe()
            held, self._open = os.pipe()
            os.environ.update(MACLIP_TEST_ENTERED=str(entered), MACLIP_TEST_HELD=str(held))
        self._info = GstVideo.VideoInfo.new()
        self._pushed = 0
        lists = ("messages", "warnings", "sha256", "buffers", "out")
        self.report: dict = {"error": None, **{name: [] for name in lists}}

    def play(self) -> None:
        for name, value in self._job["element"].items():
            self._quality.set_property(name, value)
        if self._start():
            for step in self._job["steps"]:
                if self.report["error"] is None:
                    self._do(step)
        self._pipeline.set_state(Gst.State.NULL)
        self._take_messages()

    def _start(self) -> bool:
        started = self._pipeline.set_state(Gst.State.PLAYING) != Gst.StateChangeReturn.FAILURE
        if not started:
            self._take_messages()
        return started

    def _do(self, step: dict) -> None:
        if "caps" in step:
            caps = Gst.Caps.from_string(step["caps"])
            self._info = GstVideo.VideoInfo.new_from_caps(caps)
            self._source.set_caps(caps)
        elif "frame" in step:
            self._source.push_buffer(self._make_buffer(step))
            self._pushed += 1
        elif step.get("await") == "score":
            seen = self._count_said()
            while self._count_said() == seen and self._take_message(WAIT):
                pass
        elif step.get("await") == "entered":
            os.read(self._entered, 1)
        elif step.get("await") == "buffers":
            self._take_buffers(self._pushed)
            self._take_messages()
            self.report["out"].append([len(self.report["buffers"]), len(self.report["messages"])])
        elif "open" in step:
            os.close(self._open)
        elif "flush" in step:
            self._source.send_event(Gst.Event.new_flush_start())
            self._source.send_event(Gst.Event.new_flush_stop(True))
        elif "cycle" in step:
            self._take_buffers(self._pushed)
            self._pipeline.set_state(Gst.State.NULL)
            self._start()
        elif "set" in step:
            for name, value in step["set"].items():
                self._quality.set_property(name, value)
        elif "eos" in step:
            self._source.end_of_stream()
            while self._take_message(WAIT):
                pass
            self._take_buffers(self._pushed)

    def _count_said(self) -> int:
        scores = [m for m in self.report["messages"] if m["name"] == "maclip-quality"]
        return len(scores) + len(self.report["warnings"])

    def _make_buffer(self, step: dict) -> Gst.Buffer:
        """A frame as GStreamer lays it out, with padding that is not 0."""
        data = bytearray(b"\x77" * self._info.size)
        for plane, (offset, rows, row_bytes) in enumerate(step["frame"]):
            start, stride = self._info.offset[plane], self._info.stride[plane]
            for row in range(rows):
                at = offset + row * row_bytes
                data[start + row * stride : start + row * stride + row_bytes] = self._pixels[
                    at : at + row_bytes
                ]
        data = data[: step.get("cut", len(data))]
        buffer = Gst.Buffer.new_wrapped(bytes(data))
        if step.get("time") is not None:
            buffer.pts = step["time"]
        self.report["sha256"].append(hashlib.sha256(data).hexdigest())
        return buffer

    def _take_buffers(self, count: int) -> None:
        while len(self.report["buffers"]) < count:
            sample = self._sink.emit("try-pull-sample", WAIT)
            if sample is None:
                return
            buffer = sample.get_buffer()
            meta = buffer.get_custom_meta("maclip-quality")
            data = buffer.extract_dup(0, buffer.get_size())
            self.report["buffers"].append(
                {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "time": buffer.pts,
                    "meta": None if meta is None else to_dict(meta.get_structure()),
                }
            )

    def _take_messages(self) -> None:
        while self._take_message(0):
            pass

    def _take_message(self, timeout: int) -> bool:
        """Take in the next message; False at the end of the stream, and where there is none."""
        kinds = Gst.MessageType
        wanted = kinds.ELEMENT | kinds.ERROR | kinds.WARNING | kinds.EOS
        message = self._bus.timed_pop_filtered(timeout, wanted)
        if message is None or message.type == kinds.EOS:
            return False
        if message.type == kinds.ELEMENT:
            self.report["messages"].append(to_dict(message.get_structure()))
            return True
        is_error = message.type == kinds.ERROR
        error, _ = message.parse_error() if is_error else message.parse_warning()
        words = {"source": message.src.get_name(), "domain": error.domain, "text": error.message}
        if not is_error:
            self.report["warnings"].append(words)
            return True
        self.report["error"] = self.report["error"] or words
        return False


def main() -> None:
    Gst.init(None)
    player = Player(json.load(sys.stdin))
    player.play()
    json.dump(player.report, sys.stdout)


main()
