"""A real HTTP server on loopback for downloads; it can be told to misbehave."""

import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    requests: Counter
    cut: set[str]  # paths whose first answer is cut short
    gone: set[str]  # paths that are not found

    def do_GET(self) -> None:
        self.requests[self.path] += 1
        if self.path in self.gone:
            self.send_error(404)
        elif self.path in self.cut and self.requests[self.path] == 1:
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(folder: Path, cut: set[str] = frozenset(), gone: set[str] = frozenset()):
    """Yield (base URL, how often each path was asked for)."""
    requests: Counter = Counter()
    handler = type("H", (Handler,), {"requests": requests, "cut": cut, "gone": gone})
    with running(partial(handler, directory=str(folder))) as address:
        yield f"{address}/", requests


@contextmanager
def running(handler):
    """Yield the address of a server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
