"""-netdev socket,channel=NAME: a bus between PCs of one web site; here between threads of one Node."""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import ends
from pc import Failure, not_under, same

WAIT = 60


@not_under("slipway", "BroadcastChannels are only in the WebAssembly build")
def test_channel_between_threads(emulator):
    """Three PCs in two channels. What the test itself sends into one, which is no frame, is ignored."""
    listeners, options = [], []
    for name in ("lab", "lab", "other"):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(WAIT)
        listeners.append(listener)
        options += ["--"] * bool(options)
        options += ["-nodefaults", "-S", "-nic", "none", "-display", "none", "-netdev", f"socket,id=c,channel={name}",
                    "-netdev", "hubport,id=h1,hubid=0,netdev=c", "-netdev",
                    f"stream,id=s,addr.type=inet,addr.host=127.0.0.1,addr.port={listener.getsockname()[1]}",
                    "-netdev", "hubport,id=h2,hubid=0,netdev=s"]
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "threads.mjs")
    process = subprocess.Popen(["node", program, *options], stdin=subprocess.PIPE)
    try:
        a, b, c = [ends.StreamEnd(listener.accept()[0]) for listener in listeners]
        hello = ends.numbered(0, 60)
        ends.wait_for("the bus", lambda: a.send(hello) or b.receive(0.2) == hello, WAIT)
        while b.receive(0.5):
            pass
        frames = [ends.numbered(n, 60 + n * 97 % 9000) for n in range(2000)]
        for start in range(0, len(frames), 200):
            for f in frames[start:start + 200]:
                a.send(f)
            for n, f in enumerate(frames[start:start + 200]):
                if (got := b.receive(WAIT)) != f:
                    raise Failure(f"frame {start + n}: {got and got[:20].hex()}")
        b.send(frames[5])
        same("the way back", a.receive(WAIT), frames[5])
        same("its own frames", b.receive(0.3), None)
        same("the other channel", c.receive(0.3), None)
    finally:
        process.stdin.close()
        process.wait()
        for listener in listeners:
            listener.close()


def test_channel_errors(emulator):
    """Without a name, with another address; in the native build, where there are no channels."""
    cases = [("channel=", "expects a name"), ("channel=a,connect=:1", "exactly one of")]
    if emulator == "slipway":
        cases.append(("channel=a", "only there in the WebAssembly build"))
    for options, text in cases:
        with ends.emulator(emulator, f"socket,id=n,{options}", hubs=False, qmp=False) as pc:
            same("status", pc.wait_exit(), 1)
            if text not in pc.errors:
                raise Failure(f"{options}: {pc.errors}")
