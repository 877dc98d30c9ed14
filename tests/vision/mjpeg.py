"""A camera in the network: JPEG pictures, one after the other, over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket

import cv2
import numpy as np

BOUNDARY = "picture"


class MjpegServer:
    """Sends one picture again and again, 25 times a second, to all that ask."""

    def __init__(self, colour: tuple[int, int, int], port: int = 0) -> None:
        picture = np.full((120, 160, 3), colour, np.uint8)
        data = bytes(cv2.imencode(".jpg", picture)[1])
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        part = head.encode() + data + b"\r\n"
        stopped = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                try:
                    while not stopped.wait(0.04):
                        self.wfile.write(part)
                except OSError:
                    pass

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None: ...

        self._stopped = stopped
        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Be gone: what is under way breaks off."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def mjpeg(colour: tuple[int, int, int], port: int = 0) -> Iterator[MjpegServer]:
    server = MjpegServer(colour, port)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
