"""Real programs on both sides of a relay: Linux in our PC (under Node) with dnsmasq, nginx, OpenSSH and iperf3 of the network that its
room leads to; npm's v86 with its own network client in a room with our PC.
"""
import hashlib
import http.server
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import ends
from namespace import in_namespace
from pc import GUESTS, PC, ROOT, Failure, Skip, same
from relay import Relay
from test_relay import native

NPM = os.path.join(ROOT, "build/tests/relay/npm")
PEERS = os.path.join(ROOT, "build/tests/relay/peers")
FILE = 3 << 20


def prepared(*words):
    """Decorator: fetches what tests/relay/prepare has to, before the test is in a network without a way out."""
    def decorate(test):
        def run(emulator):
            for word in words:
                p = subprocess.run([os.path.join(ROOT, "tests/relay/prepare"), *word.split()], capture_output=True, text=True)
                if p.returncode:
                    raise Failure(f"tests/relay/prepare {word}: " + (p.stdout + p.stderr)[-500:])
            return test(emulator)
        run.not_under = getattr(test, "not_under", ())
        return run
    return decorate


def run(*argv, **named):
    p = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, **named)
    if p.returncode:
        raise Failure(f"{' '.join(argv)}: status {p.returncode}: {p.stdout[-800:]}{p.stderr[-800:]}")
    return p.stdout


class Network:
    """dnsmasq, nginx, sshd and iperf3 on the host's end of the TAP interface slip0, 10.9.0.1; the web server also on loopback."""

    def __init__(self, directory):
        self.d = directory
        self.env = {**os.environ, "LD_LIBRARY_PATH": f"{PEERS}/usr/lib/x86_64-linux-gnu:{PEERS}/lib/x86_64-linux-gnu"}
        self.processes = []

    def write(self, name, text):
        path = os.path.join(self.d, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, *argv):
        log = open(os.path.join(self.d, os.path.basename(argv[0]) + ".log"), "w")
        self.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env))

    def sshd_surroundings(self):
        """sshd wants a user of its name and a directory; this namespace's mounts are ours."""
        with open("/etc/passwd") as f:
            passwd = self.write("passwd", f.read() + "sshd:x:99:65534::/run/sshd:/usr/sbin/nologin\n")
        run("mount", "--bind", passwd, "/etc/passwd")
        run("mount", "-t", "tmpfs", "none", "/run")
        os.mkdir("/run/sshd", 0o755)

    def __enter__(self):
        d = self.d
        run("ip", "addr", "add", "10.9.0.1/24", "dev", "slip0")
        os.mkdir(f"{d}/www")
        with open(f"{d}/www/file", "wb") as f:
            f.write(os.urandom(FILE))
        os.chmod(d, 0o755)
        self.start("dnsmasq", "-k", "--interface=slip0", "--bind-interfaces", "--user=root", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                   "--dhcp-range=10.9.0.50,10.9.0.60,1h", "--address=/server.lab/10.9.0.1", f"--dhcp-leasefile={d}/leases", f"--pid-file={d}/pid")
        nginx = self.write("nginx.conf", f"daemon off; user root; pid {d}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; "
                           f"client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3; uwsgi_temp_path {d}/t4; "
                           f"scgi_temp_path {d}/t5; server {{ listen 10.9.0.1:80; listen 127.0.0.1:80; root {d}/www; }} }}\n")
        self.start(f"{PEERS}/usr/sbin/nginx", "-c", nginx, "-p", d)
        self.start(f"{PEERS}/usr/bin/iperf3", "-s", "-B", "10.9.0.1")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/hostkey")
        self.sshd_surroundings()
        self.write("keys", "")
        os.chmod(f"{d}/keys", 0o600)
        self.start(f"{PEERS}/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", f"{d}/hostkey", "-o", "ListenAddress=10.9.0.1", "-o",
                   f"AuthorizedKeysFile={d}/keys", "-o", "StrictModes=no", "-o", f"PidFile={d}/sshd.pid", "-o", "UsePAM=no")
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
            p.wait()

    def logs(self):
        return "\n".join(f"{name}: {open(os.path.join(self.d, name), errors='replace').read()[-600:]}"
                         for name in os.listdir(self.d) if name.endswith(".log"))


def wanted(what, text, pattern):
    if not re.search(pattern, text, re.M):
        raise Failure(f"{what}: {text[-600:]}")


def retry(what, function, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return function()
        except Failure:
            if time.monotonic() > end:
                raise
            time.sleep(1)


@native
@prepared("peers", "guest")
@in_namespace
def test_relay_real_servers_and_clients(emulator):
    """One boot: eth0 is in the room with the TAP, eth1 is the user-mode network through the same relay."""
    if os.getuid() or not os.path.exists("/dev/net/tun"):
        raise Skip("needs root and /dev/net/tun")
    with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write("[room lab]\nattach = tap,ifname=slip0\n")
        config.flush()
        with Relay("--config", config.name, "--egress", "loopback", "--bind", "127.0.0.1:2200,127.0.0.1:2201") as relay, \
                Network(d) as net, \
                PC(emulator, "-m", "256", "-kernel", f"{GUESTS}/web-vmlinuz", "-initrd", f"{GUESTS}/web-boot.gz",
                   "-drive", f"file={GUESTS}/web-root.img,format=raw,if=virtio,readonly=on",
                   "-append", "console=ttyS0 loglevel=1 nowatchdog mitigations=off", "-no-reboot",
                   "-netdev", f"tap,id=r,relay={relay.url},room=lab", "-device", "virtio-net-pci,netdev=r",
                   "-netdev", f"user,id=u,relay={relay.url},net=10.0.9.0/24,hostfwd=tcp:127.0.0.1:2200-:22,hostfwd=tcp:127.0.0.1:2201-:5201",
                   "-device", "virtio-net-pci,netdev=u") as pc:
            try:
                talk(pc, net)
            except Failure as e:
                raise Failure(f"{e}\n{net.logs()}")


def talk(pc, net):
    wanted("DHCP of dnsmasq", pc.expect(r"eth0 has ([\d.]+)/24", 90)[1], r"^10\.9\.0\.5\d$")
    pc.expect("eth1 has 10.0.9.15/24", 60)
    pc.expect(r"/root# ", 60)
    pc.send("stty cols 500; PS1='guest''# '\n")
    pc.expect("^guest# ", 60)
    md5 = run("md5sum", f"{net.d}/www/file").split()[0]
    pc.shell("echo nameserver 10.9.0.1 >/etc/resolv.conf")
    wanted("a file of nginx by the name that dnsmasq has", pc.shell("curl -sS http://server.lab/file | md5sum", 60), md5)
    wanted("the same through slirp", pc.shell("curl -sS --interface eth1 http://10.0.9.2/file | md5sum", 60), md5)
    for options in "", "-R", "-u -b 5M":
        text = pc.shell(f"iperf3 -c 10.9.0.1 -t 2 {options} 2>&1 | tail -4", 60)
        wanted("iperf3 " + options, text, r"bits/sec.*receiver")
    # To OpenSSH's sshd; then OpenSSH's client, and iperf3's, come in by the relay's ports.
    pc.shell("dropbearkey -t ed25519 -f key >/dev/null 2>&1")
    key = re.search(r"ssh-ed25519 \S+", pc.shell("dropbearkey -y -f key | grep ^ssh"))[0]
    with open(f"{net.d}/keys", "a") as f:
        f.write(key + "\n")
    wanted("ssh to sshd", pc.shell("dbclient -y -y -i key root@10.9.0.1 'echo over ssh $((6*7))' 2>&1", 60), "over ssh 42")
    # The guest's answers to what comes by slirp go out where its gateway is.
    pc.shell("dropbear -R -B -E 2>/dev/null; iperf3 -s -D >/dev/null 2>&1")
    ssh = [f"{PEERS}/usr/bin/ssh", "-F", "none", "-p", "2200", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={net.d}/known",
           "-o", "BatchMode=yes", "root@127.0.0.1"]
    pump = threading.Event()
    reader = threading.Thread(target=lambda: [pc.pump(0.1) for _ in iter(pump.is_set, True)], daemon=True)
    reader.start()  # what the guest writes must not hold it up
    try:
        same("ssh to the guest", retry("ssh", lambda: run(*ssh, "cat /proc/sys/kernel/hostname")).strip(), "slipway")
        blob = os.urandom(1 << 20)
        p = subprocess.run([*ssh, "md5sum"], input=blob, capture_output=True, timeout=120)
        same("a megabyte through ssh", p.stdout.split()[:1], [hashlib.md5(blob).hexdigest().encode()])
        for options in [], ["-R"]:
            # Its server takes the next one only when it is done with the last one.
            text = retry("iperf3", lambda: run(f"{PEERS}/usr/bin/iperf3", "-c", "127.0.0.1", "-p", "2201", "-t", "2", *options, env=net.env), 20)
            wanted("iperf3 to the guest", text, r"bits/sec.*receiver")
    finally:
        pump.set()
        reader.join()


@native
@prepared("", "peers")
@in_namespace
def test_relay_room_with_v86(emulator):
    """iPXE in npm's v86, at /ether/ROOM, boots from the user-mode network of our PC in the same room."""
    asked = []

    class Web(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["User-Agent"].split("/")[0]))
            body = b"#!ipxe\nchain http://10.0.2.2:%d/second\n" % web.server_address[1]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with Relay() as relay, ends.emulator(emulator, f"socket,id=r,relay={relay.url},room=lab",
                                         f"user,id=u,bootfile=http://10.0.2.2:{web.server_address[1]}/first") as pc:
        ends.wait_for("the room", lambda: "(connected)" in ends.info(pc, "r"), 60)
        v86 = subprocess.Popen(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "v86_peer.mjs"), f"{relay.url}/ether/lab",
                                f"{PEERS}/usr/lib/ipxe/ipxe.iso"], cwd=NPM, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            ends.wait_for("iPXE", lambda: len(asked) >= 2, 180)
        finally:
            v86.kill()
            v86.wait()
        same("requests", asked[:2], [("/first", "iPXE"), ("/second", "iPXE")])
    web.shutdown()


@native
@in_namespace
def test_relay_smb(emulator):
    """The directory that a relay shares: smbd behind it, smbclient in front. That one has the TCP of this kernel, whose TAP is in a
    room with the user-mode network. The relay has its system calls filtered."""
    if not os.path.exists("/usr/sbin/smbd") or not shutil.which("smbclient"):
        raise Skip("needs samba and smbclient")
    before = {name for name in os.listdir("/tmp") if name.startswith("slipway-smb.")}
    with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        os.chmod(d, 0o755)
        os.mkdir(f"{d}/share")
        data = os.urandom(2 << 20)
        with open(f"{d}/share/file", "wb") as f:
            f.write(data)

        def smbclient(commands):
            return run("smbclient", "//10.0.2.4/qemu", "-N", "-t", "60", "-c", commands, cwd=d)
        with Relay("--smb-share", f"{d}/share", "--config", config.name) as relay:
            relay.kill(signal.SIGTERM)
        config.write("[room lab]\nattach = tap,ifname=slip0\n")
        config.flush()
        with Relay("--smb-share", f"{d}/share", "--config", config.name) as relay, \
                ends.emulator(emulator, f"user,id=u,relay={relay.url},smb=on", f"socket,id=r,relay={relay.url},room=lab") as pc:
            run("ip", "addr", "add", "10.0.2.15/24", "dev", "slip0")
            ends.wait_for("the room", lambda: "(connected)" in ends.info(pc, "r"), 60)
            retry("smbclient", lambda: smbclient("ls"))
            wanted("ls", smbclient("ls"), r"file +\S* +2097152 ")
            smbclient("get file got; mkdir sub; cd sub; put got back")
            for name in "got", "share/sub/back":
                with open(f"{d}/{name}", "rb") as f:
                    same(name, f.read() == data, True)
            relay.kill(signal.SIGTERM)
        end = time.monotonic() + 20
        while {name for name in os.listdir("/tmp") if name.startswith("slipway-smb.")} - before:
            if time.monotonic() > end:
                raise Failure("smbd's files stay")
            time.sleep(0.2)
    for option, text in (("smb=on", "it needs the host's smbd"), (f"relay=ws://127.0.0.1:9,smb={ROOT}", "smb=on")):
        with ends.emulator(emulator, f"user,id=u,{option}", hubs=False, qmp=False) as pc:
            pc.wait_exit()
            wanted(option, pc.errors, text)
    with Relay("--smb", "off", "--smb-share", ROOT) as relay, \
            ends.emulator(emulator, f"user,id=u,relay={relay.url},smb=on") as pc:
        ends.wait_for("the relay", lambda: "(connected)" in ends.info(pc, "u"), 60)
