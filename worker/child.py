"""The training child: the only process that imports PyTorch. Reads one assignment, trains it, reports, ends.

Its reports go out on what was its standard output; whatever else prints lands on standard error, its last words.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import BinaryIO

from worker.messages import Assignment, Message


class Channel:
    """The child's end of the pipes to its supervisor."""

    def __init__(self) -> None:
        """Take standard output for reports alone, and end when the supervisor does."""
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def assignment(self) -> Assignment | None:
        """Wait for the job; None when the supervisor has gone without one."""
        line = sys.stdin.buffer.readline()
        if not line:
            return None
        threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
        return Assignment.model_validate_json(line)

    def send(self, message: Message) -> None:
        """Report; when nobody listens any more there is nobody to train for."""
        try:
            self._out.write(message.model_dump_json().encode() + b"\n")
            self._out.flush()
        except BrokenPipeError:
            os._exit(1)


def end_with_parent() -> None:
    """Wait for the end of standard input, which is the end of the parent, and end with it."""
    sys.stdin.buffer.read()
    os._exit(1)  # at once: without its parent a child may write nothing more


def main() -> None:
    """Import PyTorch while there is time, wait for the job, train it."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel()

    from worker.run import train_assigned  # here, so that the signal is heard while PyTorch loads

    if assignment := channel.assignment():
        train_assigned(assignment, channel.send, stopping)


if __name__ == "__main__":
    main()
