"""Code a track anew: ``python -m roomtone.workers.transcode --socket PATH --plan JSON``.

It connects to the engine at the socket, takes units from it and gives back what it makes of them. What it has to say
goes to standard output, a line of JSON each. It ends when its standard input closes, so it never outlives the server.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from roomtone.workers.transcode.controller import Controller, Load
from roomtone.workers.transcode.decoding import UnsupportedError
from roomtone.workers.transcode.messages import Break, Format, Keyframe, MessageError, Reader, Skipped, Time, Told, Unit
from roomtone.workers.transcode.plan import Plan, read_plan
from roomtone.workers.transcode.probe import first_working
from roomtone.workers.transcode.program import ProgramJob
from roomtone.workers.transcode.sound import SoundJob
from roomtone.workers.transcode.sound import UnsupportedError as UnsupportedSoundError
from roomtone.workers.transcode.video import Ladder, RungEncoder, VideoJob

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
READ_BYTES = 1 << 16
LOOK_EVERY_S = 1.0
BEAT_S = 2.0
HANG_S = 10.0
"""No picture takes so long."""
CANNOT = 3
"""Exit status: this machine, or the source, does not allow it; to start again would not help."""
HUNG = 4


def say(event: str, **fields: object) -> None:
    """Tell who started this process."""
    print(json.dumps({"event": event, **fields}), flush=True)  # noqa: T201 - the supervisor reads it


class Worker:
    """Reads, works, and looks once a second at how busy it is."""

    def __init__(self, job: VideoJob | ProgramJob | SoundJob, link: socket.socket) -> None:
        self._job = job
        self._link = link
        self._controller: Controller | None = None
        self._skipped = 0
        self._idle_s = 0.0
        self._looked_at = time.monotonic()
        self.busy_since: float | None = None
        """When the message that is being worked on was begun."""

    def run(self) -> None:
        """Work until the engine closes the connection."""
        reader = Reader()
        while True:
            before = time.monotonic()
            due = self._job.next_timeout() if isinstance(self._job, ProgramJob) else None
            wait = None if due is None else max(0.0, due - before)
            ready, _, _ = select.select([self._link], [], [], wait)
            data = self._link.recv(READ_BYTES) if ready else None
            self._idle_s += time.monotonic() - before
            if data == b"":
                return
            reader.feed(data or b"")
            while (told := reader.poll()) is not None:
                self._work(self._heed, told)
            if isinstance(self._job, ProgramJob):
                self._work(self._job.handle_timeout, time.monotonic())

    def _work(self, work: Callable[[T], None], on: T) -> None:
        self.busy_since = time.monotonic()
        work(on)
        self._look()
        self.busy_since = None

    def _heed(self, told: Told) -> None:
        match told:
            case Unit():
                self._job.handle_unit(told)
            case Format():
                self._job.handle_format(told)
                say("source", codec=told.codec.name)
            case Break():
                self._job.handle_break()
            case Skipped():
                self._skipped += told.units
            case Keyframe():
                if not isinstance(self._job, SoundJob):
                    self._job.handle_keyframe()
            case Time():
                if isinstance(self._job, ProgramJob):
                    self._job.handle_time(told.at, time.monotonic())

    def _look(self) -> None:
        now = time.monotonic()
        passed = now - self._looked_at
        if passed < LOOK_EVERY_S:
            return
        load = Load(max(0.0, 1 - self._idle_s / passed), self._skipped)
        self._looked_at, self._idle_s, self._skipped = now, 0.0, 0
        job = self._job
        decodes = job if isinstance(job, SoundJob) else job.decoder
        fields: dict[str, object] = {"busy": round(load.busy, 3), "skipped": load.skipped}
        fields |= {"decoded": decodes.decoded, "undecodable": decodes.undecodable}
        if not isinstance(job, SoundJob):
            self._control(job.ladder, load)
            fields["rungs"] = [_figures(rung) for rung in job.ladder.rungs]
        if isinstance(job, ProgramJob):
            fields |= {"slates": job.slates, "left_out": job.left_out}
        say("stats", **fields)

    def _control(self, job: Ladder, load: Load) -> None:
        if self._controller is None:
            if not job.rungs:
                return
            self._controller = Controller(len(job.rungs))
            sizes = [rung.rung.name for rung in job.rungs]
            say("rungs", encoder=job.encoder, rungs=sizes)
        for change in self._controller.handle_load(load):
            rung, step = job.rungs[change.rung], change.step
            rung.change(step)
            say(
                "changed",
                rung=rung.rung.name,
                on=step.on,
                bps=int(rung.rung.bps * step.rate),
                every=step.every,
                size=round(step.size, 3),
                why=change.why,
            )


def _figures(rung: RungEncoder) -> dict[str, object]:
    figures: dict[str, object] = {"name": rung.rung.name, "encoded": rung.encoded, "bytes": rung.bytes}
    means = rung.quality.read() if rung.quality is not None else None
    if means is not None:
        figures |= {"psnr_db": round(means[0], 2), "ssim": round(means[1], 4)}
    return figures


def spoken(codec: str) -> str:
    """Give the name by which people know a codec."""
    return {"h264": "H.264", "hevc": "HEVC", "av1": "AV1"}[codec]


def choose_encoders(plan: Plan) -> dict[str, str]:
    """Give what encodes each codec of a plan; say why those do not that were tried before, and what is left out."""
    encoders = {}
    for codec in plan.codecs:
        encoder, refused = first_working(plan.encoders_of(codec))
        for name, why in refused.items():
            say("refused", encoder=name, why=why)
        if encoder is not None:
            encoders[codec] = encoder
        elif len(plan.codecs) > 1:
            say("left_out", codec=codec, why=f"no encoder of {spoken(codec)} works here")
    return encoders


def _job_of_pictures(plan: Plan, encoders: dict[str, str], link: socket.socket) -> VideoJob | ProgramJob:
    if not plan.is_program:
        return VideoJob(plan, encoders, link.sendall)
    job = ProgramJob(plan, encoders, link.sendall)
    if job.canvas.refused:
        say("slate_refused", why=job.canvas.refused)
    return job


def _beat(worker: Worker) -> None:
    """Say that this process is alive, and end it where it hangs."""
    while True:
        time.sleep(BEAT_S)
        since = worker.busy_since
        if since is not None and time.monotonic() - since > HANG_S:
            say("stalled")
            os._exit(HUNG)
        say("alive")


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    os._exit(0)


def main(argv: list[str]) -> int:
    """Work until one of the ends closes; give the exit status."""
    parser = argparse.ArgumentParser(prog="roomtone.workers.transcode", description=__doc__)
    parser.add_argument("--socket", required=True, help="Unix socket of the engine")
    parser.add_argument("--plan", required=True, help="what to make, as JSON")
    arguments = parser.parse_args(argv)
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 says much that is no error
    plan = read_plan(arguments.plan)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        job: VideoJob | ProgramJob | SoundJob
        if plan.sound is not None:
            job = SoundJob(plan.sound, plan.sound_bps, link.sendall)
        else:
            encoders = choose_encoders(plan)
            if not encoders:
                say("cannot", why=f"no encoder of {' or '.join(map(spoken, plan.codecs))} works here")
                return CANNOT
            job = _job_of_pictures(plan, encoders, link)
        try:
            link.connect(arguments.socket)
            worker = Worker(job, link)
            threading.Thread(target=_beat, args=(worker,), daemon=True).start()
            worker.run()
        except (UnsupportedError, UnsupportedSoundError) as error:
            say("cannot", why=str(error))
            return CANNOT
        except (OSError, MessageError) as error:
            say("lost", why=str(error))
            return 1
        finally:
            job.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
