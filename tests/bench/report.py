"""Tables of measurements: medians of the runs, ratios, geometric means, checksums, and what the JIT is to reach.

A measurement is a dictionary: emulator, arch, run (number), rss (MB), rows: {row: {cpu, all, wall, guest, checksum}}.
"""
import math
import statistics

SSE_ROWS = ("simd", "nbody_sse2", "memcpy")
KERNEL_ROWS = ("genjit", "exec", "fork", "sigsegv", "mmap")


class Table:
    def __init__(self, measurements, arch, order):
        """@order: the emulators' names; ratios are those of the others to the first."""
        mine = [m for m in measurements if m["arch"] == arch]
        self.arch = arch
        self.emulators = [e for e in order if any(m["emulator"] == e for m in mine)]
        self.samples = {}
        for m in mine:
            for row, values in m["rows"].items():
                self.samples.setdefault(row, {}).setdefault(m["emulator"], []).append(values)
        self.rows = [r for r in self.samples]

    def median(self, row, emulator, clock="cpu"):
        samples = self.samples[row].get(emulator)
        return statistics.median(s[clock] for s in samples) if samples else None

    def spread(self, row, emulator):
        """How far the runs lie apart, as a share of the median."""
        samples = [s["cpu"] for s in self.samples[row].get(emulator, [])]
        return (max(samples) - min(samples)) / max(statistics.median(samples), 1e-9) if samples else 0

    def ratio(self, row, other, clock="cpu"):
        """How many times faster than @other the first emulator is."""
        ours, theirs = self.median(row, self.emulators[0], clock), self.median(row, other, clock)
        return theirs / max(ours, 1e-9) if ours is not None and theirs is not None else None

    def ratios(self, other, clock="cpu", rows=None):
        """{row: ratio} of the benchmark rows, the boot aside."""
        found = {r: self.ratio(r, other, clock) for r in rows or self.rows if r != "boot" and r in self.samples}
        return {r: x for r, x in found.items() if x is not None}

    def geometric_mean(self, other, clock="cpu"):
        ratios = self.ratios(other, clock).values()
        return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None

    def checksum_verdict(self, row, expected):
        sums = {s.get("checksum") for of in self.samples[row].values() for s in of} - {None}
        if not sums:
            return ""
        wanted = expected.get(row)
        return "same" if sums == {wanted or next(iter(sums))} else "DIFFERENT " + "/".join(sorted(sums))

    def markdown(self, names, expected):
        """@names: what to call the emulators in the heading."""
        others = self.emulators[1:]
        titles = ["row", *(f"{names[e]} s" for e in self.emulators), *(f"x {names[e]}" for e in others),
                  *(f"x {names[e]}, all threads" for e in others), "checksum"]

        def cells(row):
            yield row
            for e in self.emulators:
                yield number(self.median(row, e), 2)
            for clock in ("cpu", "all"):
                for e in others:
                    yield number(self.ratio(row, e, clock), 2)
            yield self.checksum_verdict(row, expected)

        lines = [list(cells(row)) for row in self.rows]
        if others and any(self.ratios(e) for e in others):
            lines.append(["**geometric mean** (without boot)", *[""] * len(self.emulators),
                          *(bold(self.geometric_mean(e, clock)) for clock in ("cpu", "all") for e in others), ""])
        return "\n".join(["| " + " | ".join(titles) + " |", "|---|" + "---:|" * (len(titles) - 2) + "---|",
                          *("| " + " | ".join(line) + " |" for line in lines)])

    def targets(self):
        """What is asked of the JIT: (text, value, limit) for what was measured; the value must reach the limit."""
        ours = self.emulators[0]
        if "v86" in self.emulators and ours != "v86" and (ratios := self.ratios("v86")):
            yield f"{self.arch}: geometric mean to v86", self.geometric_mean("v86"), 2.5
            row = min(ratios, key=ratios.get)
            yield f"{self.arch}: slowest row to v86 ({row})", ratios[row], 1
        if "qemu" not in self.emulators or ours == "qemu":
            return
        if ratios := self.ratios("qemu"):
            yield f"{self.arch}: geometric mean to TCG", self.geometric_mean("qemu"), 1
            row = min(ratios, key=ratios.get)
            yield f"{self.arch}: slowest row to TCG ({row})", ratios[row], 0.5
        for rows, limit in ((SSE_ROWS, 3), (KERNEL_ROWS, 1)):
            for row, ratio in self.ratios("qemu", rows=rows).items():
                yield f"{self.arch}: {row} to TCG", ratio, limit
        if self.arch == "amd64" and "boot" in self.samples and (ratio := self.ratio("boot", "qemu")):
            yield "amd64: boot to TCG", ratio, 1 / 1.2
            yield "amd64: boot to TCG, all threads", self.ratio("boot", "qemu", "all"), 1 / 2


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def bold(value):
    return "" if value is None else f"**{value:.2f}**"
