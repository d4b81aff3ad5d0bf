"""A file server on this machine, to download from: what it serves, and what it was asked for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEAD = "http://127.0.0.1:9/"  # nobody listens there


class Mirror:
    """Serves `files` by name; of each it sends `missing_bytes` fewer than it announces."""

    def __init__(self, files: Mapping[str, bytes], missing_bytes: int = 0) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                asked.append(self.path)
                content = files.get(self.path.removeprefix("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: len(content or b"") - missing_bytes])

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(files: Mapping[str, bytes], missing_bytes: int = 0) -> Iterator[Mirror]:
    mirror = Mirror(files, missing_bytes)
    try:
        yield mirror
    finally:
        mirror.close()
