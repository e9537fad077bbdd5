"""Tones of the speaker and of the sound card, as they are in the file of -audiodev wav, have the frequency that the guest asks for."""
import os
import struct
import subprocess
import wave

from pc import COMMANDS, ROOT, Failure, guest, not_under, same, scratch
from test_linux import linux, power_off

WINDOW = 0.1  # seconds


def tones_bios(*defines):
    path = scratch("tones.bin")
    subprocess.run(["nasm", *defines, "-f", "bin", "-o", path, os.path.join(ROOT, "tests/e2e/tones.asm")], check=True)
    return path


def frequencies(samples, rate):
    """Of each window in which there is a tone: how often it goes up through its middle, per second."""
    found = []
    size = int(rate * WINDOW)
    for at in range(0, len(samples) - size, size):
        part = samples[at:at + size]
        low, high = min(part), max(part)
        if high - low < 1000:
            continue
        middle, up, crossings = (low + high) / 2, part[0] > (low + high) / 2, []
        for i, x in enumerate(part):
            if not up and x > middle + (high - middle) / 4:
                up = True
                crossings.append(i)
            elif up and x < middle - (middle - low) / 4:
                up = False
        if len(crossings) > 2:
            found.append((len(crossings) - 1) * rate / (crossings[-1] - crossings[0]))
    return found


def check(found):
    for wanted in (440, 1000):
        near = [f for f in found if abs(f - wanted) < wanted * 0.01]
        if len(near) < 5:
            raise Failure(f"{len(near)} windows with {wanted} Hz: {[round(f) for f in found]}")


def options(path, *more):
    return ["-m", "4", "-bios", tones_bios(), "-display", "none", "-serial", "none", "-monitor", "none", "-device",
            "isa-debug-exit,iobase=0x501,iosize=1", "-machine", "pcspk-audiodev=speaker", "-audiodev", path, *more]


def test_speaker_tones_are_in_the_wav_file(emulator):
    path = scratch("tones.wav")
    p = subprocess.run(COMMANDS[emulator] + options(f"wav,id=speaker,path={path}"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
    same("status", p.returncode, 7)
    with wave.open(path) as w:
        same("bytes of a sample", w.getsampwidth(), 2)
        count = w.getnframes()
        samples = struct.unpack(f"<{count * w.getnchannels()}h", w.readframes(count))[::w.getnchannels()]
        check(frequencies(samples, w.getframerate()))


@not_under("qemu", "it may be built without SDL")
@not_under("node", "there is no loudspeaker")
def test_speaker_tones_are_what_sdl_is_given(emulator):
    path = scratch("tones.raw")
    env = {**os.environ, "SDL_AUDIODRIVER": "disk", "SDL_DISKAUDIOFILE": path}
    p = subprocess.run(COMMANDS[emulator] + options("sdl,id=speaker,out.frequency=22050"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, timeout=120)
    same("status", p.returncode, 7)
    with open(path, "rb") as f:
        data = f.read()
    check(frequencies(struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])[::2], 22050))


@not_under("qemu", "has its own words")
def test_wrong_audiodevs_are_refused(emulator):
    for argument, why in (("tape,id=a", "no driver 'tape'"), ("wav", "id= is missing"), ("wav,id=a,x=y", "unknown property 'x'"),
                          ("sdl,id=a,path=b", "path= is only for wav"), ("wav,id=a,out.frequency=1", "out.frequency=1"),
                          ("none,id=other", "audiodev 'speaker' not found"), ("wav,id=speaker,path=/no/such/file", "/no/such/file")):
        p = subprocess.run(COMMANDS[emulator] + options(argument), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
        if p.returncode != 1 or why not in p.stderr.decode():
            raise Failure(f"{argument}: status {p.returncode}, {p.stderr.decode()}")


def initrd_with_sound():
    """An initramfs with the drivers and a program that plays."""
    program, extra, path = scratch("play"), scratch("play.cpio"), scratch("initrd-play.cpio")
    subprocess.run(["gcc", "-static", "-O2", "-o", program, os.path.join(ROOT, "tests/e2e/play.c")], check=True)
    subprocess.run([os.path.join(ROOT, "scripts/mkinitramfs"), extra], input=f"file /play {program} 755\n".encode(), cwd=ROOT, check=True)
    with open(path, "wb") as out:
        for part in (guest("initrd-amd64.cpio"), guest("media-amd64.cpio"), extra):
            with open(part, "rb") as f:
                out.write(f.read())
    return path


def test_linux_plays_through_ac97(emulator):
    """What Debian's snd-intel8x0 plays is in the wav file: length and frequency, of both sides, at two rates of the codec."""
    path = scratch(f"ac97-{emulator}.wav")
    with linux(emulator, "amd64", "-audiodev", f"wav,id=a,path={path}", "-device", "AC97,audiodev=a", initrd=initrd_with_sound()) as pc:
        pc.expect("guest# ", seconds=60)
        pc.shell("for m in snd-intel8x0 snd-pcm-oss; do modprobe $m; done; while ! [ -e /dev/dsp ]; do sleep 0.1; done", seconds=60)
        same("48000 Hz", pc.shell("/play 48000 2", seconds=60), "played 2 s at 48000 Hz")
        same("16000 Hz", pc.shell("/play 16000 1", seconds=60), "played 1 s at 16000 Hz")
        if "intel8x0" not in pc.shell("grep intel8x0 /proc/interrupts /proc/asound/cards /proc/modules"):
            raise Failure("it isn't that driver")
        power_off(pc)
    with wave.open(path) as w:
        rate, count = w.getframerate(), w.getnframes()
        samples = struct.unpack(f"<{count * 2}h", w.readframes(count))
    loud = [i for i in range(count) if abs(samples[2 * i]) > 500]
    seconds = (loud[-1] - loud[0]) / rate if loud else 0  # the silence between is left out
    for channel, wanted in ((0, 440), (1, 1000)):
        found = frequencies(samples[2 * loud[0] + channel:2 * loud[-1]:2], rate)
        good = [f for f in found if abs(f - wanted) < wanted * 0.01]
        if not 2.9 < seconds < 3.3 or len(good) < 27 or len(found) - len(good) > 2:
            raise Failure(f"{seconds:.2f} s, channel {channel}: {[round(f) for f in found]}")
