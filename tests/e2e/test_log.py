"""-d and -D: instructions go to the log with address, bytes and text, the log goes to the file; a run is the same
each time under -icount."""
import os
import subprocess
import tempfile

from pc import COMMANDS, Failure, not_under

# Code at the reset vector: mov cx, 3; 1: dec cx; jnz 1b; mov al, 16; out 0xf4, al
CODE = bytes.fromhex("b90300 49 75fd b010 e6f4 f4")
WANTED = [
    "0xfffffff0:  b9 03 00                 mov cx, 0x3",
    "0xfffffff3:  49                       dec cx",
    "0xfffffff4:  75 fd                    jne 0xfff3",
    "0xfffffff6:  b0 10                    mov al, 0x10",
    "0xfffffff8:  e6 f4                    out 0xf4, al",
]


def run(emulator, directory, *options):
    """Exit status and stderr of a PC whose BIOS is CODE."""
    bios = os.path.join(directory, "bios")
    with open(bios, "wb") as f:
        f.write(b"\xf4" * 0xfff0 + CODE.ljust(16, b"\xf4"))
    p = subprocess.run(COMMANDS[emulator] + [
        "-m", "4", "-bios", bios, "-display", "none", "-serial", "none", "-monitor", "none",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return p.returncode, p.stderr.decode("latin1")


def instructions(text):
    """The lines of instructions, each once (blocks overlap)."""
    return sorted({line.rstrip() for line in text.splitlines() if line.startswith("0x")})


@not_under("qemu", "prints the other syntax")
def test_in_asm_goes_to_file_or_stderr(emulator):
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        status, stderr = run(emulator, directory, "-d", "in_asm")
        if status != 33 or instructions(stderr) != WANTED:
            raise Failure(f"status {status}, stderr:\n{stderr}")
        status, stderr = run(emulator, directory, "-d", "in_asm", "-D", log)
        with open(log) as f:
            text = f.read()
        if status != 33 or instructions(text) != WANTED or stderr:
            raise Failure(f"status {status}, stderr '{stderr}', log:\n{text}")


@not_under("qemu", "is about our log")
def test_icount_runs_are_alike(emulator):
    with tempfile.TemporaryDirectory() as directory:
        logs = [run(emulator, directory, "-icount", "shift=3", "-d", "in_asm,int") for _ in range(2)]
        if logs[0] != logs[1]:
            raise Failure(f"{logs[0]}\n{logs[1]}")
