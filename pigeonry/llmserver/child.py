"""The child process: llama.cpp's own HTTP server on loopback, until its parent is gone.

python -m pigeonry.llmserver.child WEIGHTS ALIAS THREADS CONTEXT PORT
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time


def main(weights: str, alias: str, threads: str, context: str, port: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = weights
    wanted.model_alias = [alias]
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = int(port)
    wanted.n_parallel = 1
    wanted.n_ctx = int(context)
    wanted.n_gpu_layers = 0
    wanted.cpuparams.n_threads = int(threads)
    wanted.cpuparams_batch.n_threads = int(threads)
    wanted.ui = False
    wanted.use_jinja = True
    server = xllamacpp.Server(wanted)
    while server is not None:
        time.sleep(3600)


def _end_with_parent() -> None:
    """Standard input is a pipe that only the parent holds open; its end is the parent's end."""
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
