"""Python's own file server: `python3 server.py FOLDER`. Prints its port, then a line for each resource it resolved."""

import http.server
import json
import os
import sys

ROOT = os.path.realpath(sys.argv[1])


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, directory=ROOT, **kwargs)

    def send_head(self):
        file = self.translate_path(self.path)
        resource = os.path.relpath(file, ROOT) if os.path.isfile(file) else ""
        line = json.dumps({"id": self.headers.get("x-case"), "resource": resource})
        # One write of the system's, so that lines of several threads neither mix nor get lost.
        os.write(1, (line + "\n").encode())
        return super().send_head()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Files)
print("port", server.server_address[1], flush=True)
server.serve_forever()
