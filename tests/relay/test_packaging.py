"""The systemd unit, as far as systemd can say without running it."""
import os
import re
import shutil
import subprocess
import tempfile

from relay import *

UNIT = os.path.join(ROOT, "relay/slipway-relay.service")
EXPOSURE = 15  # tenths, as systemd-analyze security counts; what serves the network itself has some


def test_systemd_unit(emulator):
    """It is well-formed, and leaves the service little: systemd-analyze verify and security."""
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    with open(UNIT) as f:
        text = f.read()
    installed = text.replace("/usr/local/bin/slipway-relay", os.path.abspath(PROGRAM))
    check(installed.count(os.path.abspath(PROGRAM)) == 2, "the unit doesn't start /usr/local/bin/slipway-relay")
    for name, unit in (("as it is", installed), ("for TAPs", re.sub(r"(?m)^#(AmbientCapabilities|CapabilityBoundingSet|DeviceAllow|PrivateDevices)=", r"\1=", installed))):
        last = re.findall(r"(?m)^(CapabilityBoundingSet|PrivateDevices)=(.*)$", unit)  # what counts; an empty one takes all back
        equal(dict(last), {"CapabilityBoundingSet": "", "PrivateDevices": "yes"} if unit == installed else
              {"CapabilityBoundingSet": "CAP_NET_ADMIN CAP_NET_BIND_SERVICE", "PrivateDevices": "no"}, name)
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "slipway-relay.service")
            with open(path, "w") as f:
                f.write(unit)
            p = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
            ours = [line for line in p.stderr.splitlines() if "slipway-relay" in line]
            check(p.returncode == 0 and not ours, f"{name}: {p.returncode} {p.stderr}")
            p = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE + (10 if unit != installed else 0)}", path],
                               capture_output=True, text=True)
            check(p.returncode == 0, f"{name}: {p.stdout[-300:]} {p.stderr}")
