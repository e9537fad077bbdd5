"""The netdevs socket, stream and dgram: QEMU's as the other end, back-pressure, connections that come and go."""
import os
import random
import socket
import struct

import ends
from ends import (FRAME_MAX, MAC, DatagramEnd, Failure, StreamEnd, arp, ask, counter, dhcp, dhcp_answer, free_port,
                  info, number_of, numbered, same, scratch, wait_for)
from pc import not_under

GATEWAY = "10.0.2.2"


def offer(end):
    """What a user mode stack behind the end answers to a DHCP discover."""
    return ask(end, dhcp(1), lambda f: dhcp_answer(f) and dhcp_answer(f)[0] == 2)


def reference():
    """The same of QEMU alone."""
    port = free_port()
    with ends.emulator("qemu", "user,id=u", f"socket,id=s,listen=127.0.0.1:{port}"):
        end = StreamEnd.connect(port)
        frame = offer(end)
        end.close()
        return frame


def talks_with_qemu(kind, ours, theirs, qemu_first, ready=None):
    """A Python end -> our chain of hubs -> one of our netdevs <-> QEMU's -> QEMU's user mode network, and back.
    ready(): the first emulator is, where the monitor doesn't say it."""
    port = free_port()
    entry = f"socket,id=in,listen=127.0.0.1:{port}"
    machines = [("qemu", ["user,id=u", theirs]), (kind, [entry, ours])]
    if not qemu_first:
        machines.reverse()
    with ends.emulator(machines[0][0], *machines[0][1]) as first:
        wait_for("the first emulator", lambda: first.monitor("info network") and (not ready or ready()))
        with ends.emulator(machines[1][0], *machines[1][1]) as second:
            end = StreamEnd.connect(port)
            same("offer through our netdev", offer(end), reference())
            answer = ask(end, arp(1, "10.0.2.15", GATEWAY), lambda f: f[12:14] == b"\x08\x06")
            same("ARP", socket.inet_ntoa(answer[28:32]), GATEWAY)
            end.close()
            ours, theirs = (second, first) if qemu_first else (first, second)
            return ours, theirs, info(ours, "x"), info(theirs, "y")


def test_socket_listen_with_qemu(emulator):
    port = free_port()
    _, _, ours, theirs = talks_with_qemu(emulator, f"socket,id=x,listen=127.0.0.1:{port}",
                                         f"socket,id=y,connect=127.0.0.1:{port}", False)
    same("info network", ours.rsplit(":", 1)[0], "socket: connection from 127.0.0.1")
    same("info network", theirs, f"socket: connect to 127.0.0.1:{port}")


def test_socket_connect_to_qemu(emulator):
    port = free_port()
    _, _, ours, _ = talks_with_qemu(emulator, f"socket,id=x,connect=127.0.0.1:{port}",
                                    f"socket,id=y,listen=127.0.0.1:{port}", True)
    same("info network", ours, f"socket: connect to 127.0.0.1:{port}")


def test_socket_udp_with_qemu(emulator):
    a, b = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    _, _, ours, theirs = talks_with_qemu(emulator, f"socket,id=x,udp=127.0.0.1:{a},localaddr=127.0.0.1:{b}",
                                         f"socket,id=y,udp=127.0.0.1:{b},localaddr=127.0.0.1:{a}", True)
    same("info network", ours, theirs.replace(str(b), str(a)))


def test_socket_mcast_with_qemu(emulator):
    port = free_port(socket.SOCK_DGRAM)
    group = f"mcast=239.77.0.1:{port},localaddr=127.0.0.1"
    _, _, ours, theirs = talks_with_qemu(emulator, f"socket,id=x,{group}", f"socket,id=y,{group}", True)
    same("info network", ours, theirs)


def test_stream_inet_server_with_qemu(emulator):
    port = free_port()
    address = f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
    _, _, ours, theirs = talks_with_qemu(emulator, f"stream,id=x,server=on,{address}", f"stream,id=y,{address}", False)
    same("info network", ours.rsplit(":", 1)[0], "tcp:127.0.0.1")
    same("info network", theirs, f"tcp:127.0.0.1:{port}")


def test_stream_inet_client_with_qemu(emulator):
    port = free_port()
    address = f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
    _, _, ours, _ = talks_with_qemu(emulator, f"stream,id=x,{address}", f"stream,id=y,server=on,{address}", True)
    same("info network", ours, f"tcp:127.0.0.1:{port}")


def test_stream_unix_with_qemu(emulator):
    path = scratch("stream")
    address = f"addr.type=unix,addr.path={path}"
    _, _, ours, theirs = talks_with_qemu(emulator, f"stream,id=x,server=on,{address}", f"stream,id=y,{address}", False)
    same("info network", (ours, theirs), (f"unix:{path}", f"unix:{path}"))
    _, _, ours, theirs = talks_with_qemu(emulator, f"stream,id=x,{address}", f"stream,id=y,server=on,{address}", True)
    same("info network", (ours, theirs), (f"unix:{path}", f"unix:{path}"))


@not_under("node", "Node has no abstract sockets")
def test_stream_unix_abstract_with_qemu(emulator):
    for more in "", ",addr.tight=off":
        address = f"addr.type=unix,addr.path=slipway-{os.getpid()},addr.abstract=on{more}"
        talks_with_qemu(emulator, f"stream,id=x,server=on,{address}", f"stream,id=y,{address}", False)


def test_dgram_inet_with_qemu(emulator):
    a, b = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)

    def addresses(here, there):
        return (f"local.type=inet,local.host=127.0.0.1,local.port={here},"
                f"remote.type=inet,remote.host=127.0.0.1,remote.port={there}")

    _, _, ours, theirs = talks_with_qemu(emulator, f"dgram,id=x,{addresses(a, b)}", f"dgram,id=y,{addresses(b, a)}", True)
    same("info network", ours, f"udp=127.0.0.1:{a}/127.0.0.1:{b}")
    same("info network", theirs, f"udp=127.0.0.1:{b}/127.0.0.1:{a}")


def test_dgram_multicast_with_qemu(emulator):
    port = free_port(socket.SOCK_DGRAM)
    group = (f"remote.type=inet,remote.host=239.77.0.2,remote.port={port},"
             "local.type=inet,local.host=127.0.0.1,local.port=0")
    _, _, ours, theirs = talks_with_qemu(emulator, f"dgram,id=x,{group}", f"dgram,id=y,{group}", True)
    same("info network", ours, theirs)


@not_under("node", "Node has no Unix datagram sockets")
def test_dgram_unix_with_qemu(emulator):
    a, b = scratch("dgram-a"), scratch("dgram-b")

    def addresses(here, there):
        return f"local.type=unix,local.path={here},remote.type=unix,remote.path={there}"

    _, _, ours, theirs = talks_with_qemu(emulator, f"dgram,id=x,{addresses(a, b)}", f"dgram,id=y,{addresses(b, a)}", True)
    same("info network", ours, f"udp={a}:{b}")
    same("info network", theirs, f"udp={b}:{a}")


# ---- Frames, room and time ----

def joined(kind, ours):
    """A PC whose hub joins @ours with a socket end for Python."""
    port = free_port()
    pc = ends.emulator(kind, f"socket,id=in,listen=127.0.0.1:{port}", ours)
    return pc, StreamEnd.connect(port)


def test_frames_of_all_sizes_cut_anywhere(emulator):
    port = free_port()
    pc, a = joined(emulator, f"stream,id=out,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port={port}")
    with pc:
        b = StreamEnd.connect(port)
        wait_for("both ends", lambda: "connection from" in info(pc, "in") and "listening" not in info(pc, "out"))
        rng = random.Random(1)
        frames = [numbered(i, size) for i, size in enumerate([18, 60, 1514, 9000, FRAME_MAX, 19] +
                                                             [rng.randrange(18, 3000) for _ in range(300)])]
        data = b"".join(struct.pack("!I", len(f)) + f for f in frames)
        data = struct.pack("!I", 0) + data  # an empty frame is no frame
        while data:
            n = rng.choice([1, 2, 3, 5, 700, 4000, 60000])
            a.socket.sendall(data[:n])
            data = data[n:]
        for f in frames:
            if b.receive() != f:
                raise Failure(f"frame {number_of(f)} differs")
        b.send(frames[4])
        same("the largest one back", a.receive() == frames[4], True)


def test_nothing_is_lost_while_a_reader_stops(emulator):
    """The sender is held back instead, and all frames come in order once the reader goes on."""
    port = free_port()
    pc, a = joined(emulator, f"stream,id=out,addr.type=inet,addr.host=127.0.0.1,addr.port={port},server=on")
    with pc:
        b = StreamEnd.connect(port)
        wait_for("both ends", lambda: "connection from" in info(pc, "in") and "listening" not in info(pc, "out"))
        a.socket.setblocking(False)
        total, sent, pending = 60000, 0, b""
        stalled = 0
        while stalled < 30 and sent < total:  # until nothing goes for 1.5 s
            if not pending:
                frame = numbered(sent, 1000)
                pending = struct.pack("!I", len(frame)) + frame
                sent += 1
            try:
                n = a.socket.send(pending)
                pending, stalled = pending[n:], 0
            except BlockingIOError:
                stalled += 1
                pc.pump(0.05)
        if sent == total:
            raise Failure(f"{total} KB went into a pipe that nobody reads")
        a.socket.settimeout(20)
        for n in range(sent - 1):
            frame = b.receive()
            if not frame or number_of(frame) != n or len(frame) != 1000:
                raise Failure(f"frame {n} of {sent} is {frame and number_of(frame)}")
        a.socket.sendall(pending)
        same("the last one", number_of(b.receive()), sent - 1)
        same("dropped", counter(pc, "out", "dropped"), 0)


def test_a_frame_that_is_too_long_closes_the_connection(emulator):
    port = free_port()
    pc, a = joined(emulator, f"socket,id=out,connect=127.0.0.1:{port}")
    with pc:
        a.socket.sendall(struct.pack("!I", FRAME_MAX + 1) + b"x" * 100)
        try:
            same("received", a.receive(), None)
            raise Failure("the connection stays")
        except (EOFError, ConnectionResetError):
            pass
        wait_for("message", lambda: pc.pump(0.05) or "a frame of 69633 bytes: connection closed" in pc.errors)
        wait_for("the next client", lambda: "listening" in info(pc, "in"))


def test_one_client_after_another(emulator):
    port, other = free_port(), free_port(socket.SOCK_DGRAM)
    peer = DatagramEnd.udp(0, other)
    here = peer.socket.getsockname()[1]
    pc, first = joined(emulator, f"socket,id=out,udp=127.0.0.1:{here},localaddr=127.0.0.1:{other}")
    with pc:
        port = first.socket.getpeername()[1]
        first.send(numbered(1, 100))
        same("the first client's frame", number_of(peer.receive()), 1)
        second = StreamEnd.connect(port)
        second.send(numbered(2, 100))
        same("while the first is there", peer.receive(0.5), None)
        first.close()
        same("the second client's frame", number_of(peer.receive()), 2)
        peer.send(numbered(3, 100))
        same("a frame for the second", number_of(second.receive()), 3)
        second.close()
        wait_for("listening", lambda: info(pc, "in").startswith("listening on tcp:127.0.0.1:"))


def test_reconnect(emulator):
    """A client without a server says so once, and connects when there is one; and again after it ended."""
    port, entry = free_port(), free_port()
    with ends.emulator(emulator, f"socket,id=in,listen=127.0.0.1:{entry}",
                       f"stream,id=out,addr.type=inet,addr.host=127.0.0.1,addr.port={port},reconnect=1") as pc:
        end = StreamEnd.connect(entry)
        pc.settle(1.5)
        for turn in range(2):
            with socket.create_server(("127.0.0.1", port)) as server:
                server.settimeout(20)
                connection, _ = server.accept()
            peer = StreamEnd(connection)
            wait_for("connected", lambda: info(pc, "out") == f"tcp:127.0.0.1:{port}")
            end.send(numbered(turn, 100))
            same("frame", number_of(peer.receive()), turn)
            peer.close()
        pc.settle(1.5)
        same("messages", pc.errors.count(f"slipway: netdev 'out': 127.0.0.1:{port}: Connection refused\n"), 2)


def test_qmp_events_of_a_stream(emulator):
    """As QEMU's: the test passes there too."""
    port, path = free_port(), scratch("events")
    with ends.emulator(emulator, f"stream,id=t,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port={port}",
                       f"stream,id=u,server=on,addr.type=unix,addr.path={path}") as pc:
        pc.qmp("query-status")
        for address, name in (port, "t"), (path, "u"):
            end = StreamEnd.connect(address)
            here = end.socket.getsockname()
            expected = ({"path": path, "type": "unix"} if address == path else
                        {"port": str(here[1]), "ipv4": True, "host": "127.0.0.1", "type": "inet"})
            same("connected", pc.event("NETDEV_STREAM_CONNECTED")["data"], {"netdev-id": name, "addr": expected})
            end.close()
            same("ended", pc.event("NETDEV_STREAM_DISCONNECTED")["data"], {"netdev-id": name})


def test_a_refused_connection_is_one_line(emulator):
    port = free_port()
    for text in f"socket,id=n,connect=127.0.0.1:{port}", (
            f"stream,id=n,addr.type=inet,addr.host=127.0.0.1,addr.port={port}"):
        with ends.emulator(emulator, text, hubs=False) as pc:
            line = f"slipway: netdev 'n': 127.0.0.1:{port}: Connection refused\n"
            wait_for("message", lambda: pc.pump(0.05) or line in pc.errors)
            same("info network", info(pc, "n"), "connection error")


def test_multicast_members_hear_one_another_but_not_themselves(emulator):
    port = free_port(socket.SOCK_DGRAM)
    end = DatagramEnd.multicast("239.77.0.3", port)
    pc, a = joined(emulator, f"socket,id=out,mcast=239.77.0.3:{port},localaddr=127.0.0.1")
    with pc:
        for n in range(50):
            a.send(numbered(n, 200))
        for n in range(50):
            same("frame of the PC", number_of(end.receive()), n)
        end.send(numbered(100, 200))
        same("the first frame that comes to the PC", number_of(a.receive()), 100)
        end.send(numbered(7, 200))  # the same as one that the PC sent: it isn't an echo
        same("a frame like an old one", number_of(a.receive()), 7)


def test_given_descriptors(emulator):
    if emulator == "node":
        with ends.emulator(emulator, "socket,id=n,fd=5", hubs=False, qmp=False) as pc:
            same("status", pc.wait_exit(), 1)
            same("message", "not available under Node" in pc.errors, True)
        return
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        port = free_port()
        with ends.emulator(emulator, f"socket,id=n,fd={theirs.fileno()}", f"socket,id=in,listen=127.0.0.1:{port}",
                           pass_fds=[theirs.fileno()]) as pc:
            number = theirs.fileno()
            theirs.close()
            a, b = StreamEnd.connect(port), StreamEnd(ours) if kind == socket.SOCK_STREAM else DatagramEnd(ours, None)
            if kind == socket.SOCK_DGRAM:
                b.send = ours.send
            a.send(numbered(1, 100))
            same("frame", number_of(b.receive()), 1)
            b.send(numbered(2, 100))
            same("frame", number_of(a.receive()), 2)
            same("info network", info(pc, "n"), f"socket: fd={number}")


def test_netdevs_come_and_go(emulator):
    port = free_port()
    with ends.emulator(emulator) as pc:
        for _ in range(3):
            same("netdev_add", pc.monitor(f"netdev_add socket,id=n,listen=127.0.0.1:{port}"), "")
            end = StreamEnd.connect(port)
            wait_for("connected", lambda: "connection from" in info(pc, "n"))
            same("netdev_del", pc.monitor("netdev_del n"), "")
            try:
                end.receive()
                raise Failure("the connection stays")
            except (EOFError, ConnectionResetError):
                end.close()


def test_socket_files_go_with_the_netdev(emulator):
    paths = [scratch("file-a")] + ([scratch("file-b")] if emulator == "slipway" else [])
    netdevs = [f"stream,id=a,server=on,addr.type=unix,addr.path={paths[0]}",
               f"dgram,id=b,local.type=unix,local.path={paths[-1]},remote.type=unix,remote.path=/x"][:len(paths)]
    with ends.emulator(emulator, *netdevs) as pc:
        wait_for("files", lambda: all(map(os.path.exists, paths)))
        pc.qmp("quit")
        same("status", pc.wait_exit(), 0)
        same("files", [p for p in paths if os.path.exists(p)], [])


ERRORS = [
    ("socket,id=n,listen=5555", "host address '5555' doesn't contain ':' separating host from port"),
    ("socket,id=n,listen=:99999", "port number '99999' is invalid"),
    ("socket,id=n,mcast=10.0.0.1:1234", "specified mcastaddr 10.0.0.1 does not contain a multicast address"),
    ("socket,id=n,udp=127.0.0.1:4000", "localaddr= is mandatory with udp="),
    ("socket,id=n,listen=:1,connect=:2", "exactly one of listen=, connect=, mcast=, udp= or fd= is required"),
    ("socket,id=n", "exactly one of listen=, connect=, mcast=, udp= or fd= is required"),
    ("socket,id=n,localaddr=1.2.3.4,listen=:5000", "localaddr= is only valid with mcast= or udp="),
    ("socket,id=n,foo=1", "Invalid parameter 'foo'"),
    ("stream,id=n", "Parameter 'addr' is missing"),
    ("stream,id=n,addr.type=inet,addr.host=127.0.0.1", "Parameter 'addr.port' is missing"),
    ("stream,id=n,addr.type=foo", "Parameter 'addr.type' does not accept value 'foo'"),
    ("stream,id=n,addr.type=inet,addr.host=x,addr.port=1,addr.ipv4=off,addr.ipv6=off",
     "Cannot disable IPv4 and IPv6 at same time"),
    ("stream,id=n,server=on,reconnect=1,addr.type=unix,addr.path=x",
     "'reconnect' option is incompatible with socket in server mode"),
    ("dgram,id=n", "dgram requires local= parameter"),
    ("dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=4001",
     "type=inet or type=unix requires remote parameter"),
    ("dgram,id=n,remote.type=inet,remote.host=127.0.0.1,remote.port=4000", "dgram requires local= parameter"),
    ("dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=1,remote.type=unix,remote.path=x",
     "remote and local types must be the same"),
    ("dgram,id=n,remote.type=inet,remote.host=230.0.0.1,remote.port=1,local.type=unix,local.path=x",
     "only support inet or fd type for local"),
    ("dgram,id=n,local.type=fd,local.str=3,remote.type=inet,remote.host=127.0.0.1,remote.port=4",
     "don't set remote with local.fd"),
]


def test_errors_of_options(emulator):
    """In QEMU's words, behind the option."""
    for text, message in ERRORS if emulator != "node" else ERRORS[::4]:
        with ends.emulator(emulator, text, hubs=False, qmp=False) as pc:
            same(f"status of {text}", pc.wait_exit(), 1)
            same("message", pc.errors, f"slipway: -netdev {text}: {message}\n")


def test_a_port_in_use_is_an_error(emulator):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with ends.emulator(emulator, f"socket,id=n,listen=127.0.0.1:{port}", hubs=False, qmp=False) as pc:
            same("status", pc.wait_exit(), 1)
            where = f"127.0.0.1:{port}" + ("" if emulator == "node" else ",ipv4")
            same("message", f"{where}: Address already in use" in pc.errors, True)
        # stream's addr.to goes on to the next one
        with ends.emulator(emulator, f"stream,id=n,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port={port},"
                           f"addr.to={port + 50}", hubs=False) as pc:
            got = int(wait_for("listening", lambda: info(pc, "n")).rsplit(":", 1)[1])
            same("a port above", port < got <= port + 50, True)
            StreamEnd.connect(got).close()
