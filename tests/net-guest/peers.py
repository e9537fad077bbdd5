"""What the test guests talk to: servers on the host, which they reach as 10.0.2.2, and the far end of a cable."""
import hashlib
import random
import socket
import struct
import threading

DOWNLOAD_BYTES = 20_000_000
CABLE_IP = "10.9.0.2"
CABLE_MAC = bytes.fromhex("5254000000aa")


class Servers:
    """An HTTP server with one file, and a server that answers each connection with what it was sent: "MD5 LENGTH".
    @received is what the last one was sent."""

    def __init__(self):
        self.file = random.Random(4).randbytes(DOWNLOAD_BYTES)
        self.file_md5 = hashlib.md5(self.file).hexdigest()
        self.received = b""
        self.listeners = []
        self.http_port = self._listen(self._http)
        self.sink_port = self._listen(self._sink)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for listener in self.listeners:
            listener.close()

    def _listen(self, serve):
        listener = socket.create_server(("127.0.0.1", 0))
        self.listeners.append(listener)

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def _http(self, client):
        with client:
            try:
                client.recv(65536)
                client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.file) + self.file)
                client.shutdown(socket.SHUT_WR)
                client.recv(1)
            except OSError:
                pass

    def _sink(self, client):
        received = bytearray()
        with client:
            try:
                while data := client.recv(1 << 18):
                    received += data
                self.received = bytes(received)
                client.sendall(f"{hashlib.md5(received).hexdigest()} {len(received)}\n".encode())
            except OSError:
                pass


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Cable:
    """The far end of -netdev socket,connect=127.0.0.1:PORT: answers ARP and ping for CABLE_IP, with and without VLAN
    tag, keeps what it hears, and sends what the test wants."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connection = None
        self.heard = []
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()
        if self.connection:
            self.connection.close()

    def send(self, *frames):
        self.connection.sendall(b"".join(struct.pack(">I", len(f)) + f for f in frames))

    def _run(self):
        try:
            self.connection, _ = self.listener.accept()
            with self.connection.makefile("rb") as stream:
                while head := stream.read(4):
                    frame = stream.read(struct.unpack(">I", head)[0])
                    self.heard.append(frame)
                    answer = self._answer(frame)
                    if answer:
                        self.send(answer)
        except OSError:
            pass

    def _answer(self, frame):
        at = 18 if frame[12:14] == b"\x81\0" else 14
        kind, tag, body = frame[at - 2:at], frame[12:at - 2], frame[at:]
        ip = socket.inet_aton(CABLE_IP)
        if kind == b"\x08\x06" and body[6:8] == b"\0\1" and body[24:28] == ip:
            reply = body[:6] + b"\0\2" + CABLE_MAC + ip + body[8:18]
        elif kind == b"\x08\0" and body[16:20] == ip and body[9] == 1 and body[20] == 8:
            length = struct.unpack(">H", body[2:4])[0]
            echo = b"\0\0\0\0" + body[24:length]
            echo = echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:]
            head = body[:10] + b"\0\0" + ip + body[12:16]
            reply = head[:10] + struct.pack(">H", checksum(head)) + head[12:] + echo
        else:
            return None
        return frame[6:12] + CABLE_MAC + tag + kind + reply
