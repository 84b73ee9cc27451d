"""Takes connections and never answers. Prints its address."""

import signal
import socket

listening = socket.create_server(("127.0.0.1", 0), backlog=128)
print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
signal.pause()
