"""A slipway-relay for tests, on a port of its own."""
import os
import re
import signal
import subprocess
import time

from pc import ROOT, Failure

PROGRAM = os.path.join(ROOT, "build/native/slipway-relay")
OPEN = ["--egress", "public,private,loopback,documentation", "--bind", "loopback"]
WAIT = 60


class Relay:
    """With @options; without any, it lets everything through."""

    def __init__(self, *options):
        if not os.path.exists(PROGRAM):
            raise Failure(f"{PROGRAM} isn't built (scripts/test build-native)")
        self.options = list(options) or OPEN
        self.port = 0
        self.log = []
        self.start()

    def start(self):
        """Again on the same port, after kill()."""
        self.process = subprocess.Popen([PROGRAM, "--listen", f"127.0.0.1:{self.port}", *self.options],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + WAIT
        for line in self.process.stderr:
            self.log.append(line)
            match = re.search(r"listen address=127\.0\.0\.1:(\d+)", line)
            if match:
                self.port = int(match[1])
                # The rest goes where it doesn't block the relay.
                os.set_blocking(self.process.stderr.fileno(), False)
                return self
            if time.monotonic() > end:
                break
        raise Failure("the relay doesn't start: " + "".join(self.log))

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
