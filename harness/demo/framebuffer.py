# SPDX-License-Identifier: GPL-2.0
"""What has to be on the screen of make demo-framebuffer

Takes what is there when the program in the machine says so, compares every pixel with the picture
that ought to be there, and writes it as PNG.
"""
import json
import os
import socket
import struct
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 640, 480
UPBASE = 0x10020010     # of the core tile's display controller

# The heaps, as the device trees of this demonstration have them: base and size
CMA = ("ecc-off@70000000", 0x70000000, 0x02000000)
CARVEOUT = ("ecc-off@74000000", 0x74000000, 0x02000000)
VRAM = ("vram@4c000000", 0x4c000000, 0x00800000)

# What has to be seen, in this order
SHOTS = {
    "scanout": [
        ("cma", CMA, "cma area, heap buffer, imported by pl111"),
        ("carveout", CARVEOUT, "carveout, heap buffer, imported by pl111"),
        ("coherent", VRAM, "coherent pool, heap buffer, imported by pl111"),
        ("carveout-again", CARVEOUT, "carveout, heap buffer, imported by pl111"),
        ("carveout-live", CARVEOUT, "carveout, drawn while it was shown"),
        ("carveout-closed", CARVEOUT, "carveout, drawn while it was shown"),
    ],
    "pool": [
        ("driver", VRAM, "coherent pool, buffer of the driver"),
        ("driver-full", VRAM, "coherent pool, buffer of the driver"),
        ("driver-between", VRAM, "coherent pool, buffer of the driver"),
    ],
}

# How many cases the program has of its own: fewer are a failure
CASES = {"scanout": 20, "pool": 35}


# The picture, computed anew; the letters are the only thing that both sides read.

def read_font():
    font = {}
    with open(os.path.join(HERE, "font.txt"), encoding="ascii") as file:
        for line in file:
            if not line.startswith("#"):
                font[line[0]] = [int(row, 16) for row in line[1:].split()]
    return font


def write_text(picture, font, left, top, scale, text):
    rows = [""] + ["".join(f" {font.get(c, [0] * 7)[row]:05b}" for c in text) + " "
                   for row in range(7)] + [""]
    width = 6 * len(text) + 1
    for row, bits in enumerate(rows):
        line = b"".join((b"\xff\xff\xff" if bit == "1" else b"\0\0\0") * scale
                        for bit in bits.ljust(width))
        for y in range(top + row * scale, top + (row + 1) * scale):
            picture[y][3 * left:3 * left + len(line)] = line


def expected_picture(font, title, subtitle):
    """Lines of bytes, red, green and blue"""
    code = 2166136261
    for char in title + subtitle:
        code = (code ^ ord(char)) * 16777619 % 2 ** 32
    picture = []
    for y in range(HEIGHT):
        line = bytearray()
        for x in range(WIDTH):
            if y < HEIGHT // 3:
                light, bar = 255 - y // 2, x // (WIDTH // 8) + code
                line += bytes(light * (bar >> bit & 1) for bit in range(3))
            elif y < HEIGHT * 2 // 3:
                line += bytes((x * 255 // 639, (y - 160) * 255 // 159, code >> 8 & 255))
            else:
                line += bytes(((x ^ y) & 255, (x + y + (code >> 16)) & 255,
                               (x - y + (code >> 24)) & 255))
        picture.append(line)
    write_text(picture, font, 32, 48, 5, title)
    write_text(picture, font, 32, 192, 2, subtitle)
    return b"".join(picture)


def difference(have, want):
    """None, or what differs. No tolerance: XRGB8888 has every bit, and so has the dump."""
    if have[:2] != (WIDTH, HEIGHT):
        return f"the screen has {have[0]} x {have[1]} pixels"
    wrong = [i for i in range(WIDTH * HEIGHT)
             if have[2][3 * i:3 * i + 3] != want[3 * i:3 * i + 3]]
    if not wrong:
        return None
    i = wrong[0]
    return (f"{len(wrong)} pixels differ, the first at {i % WIDTH},{i // WIDTH}: "
            f"{have[2][3 * i:3 * i + 3].hex()}, not {want[3 * i:3 * i + 3].hex()}")


def read_ppm(name):
    with open(name, "rb") as file:
        data = file.read()
    kind, width, height, depth, pixels = data.split(maxsplit=4) if data else [b""] * 5
    # A first pixel that looks like a blank would be taken for one by split().
    pixels = data[len(data) - 3 * int(width or 0) * int(height or 0):]
    if kind != b"P6" or depth != b"255":
        raise ValueError(f"{name} is not the PPM that QEMU writes")
    return int(width), int(height), pixels


def write_png(name, picture):
    """Each line with the filter that leaves the least to compress"""
    width, height, pixels = picture
    stride, lines, above = 3 * width, [], bytes(3 * width)
    for y in range(height):
        line = pixels[y * stride:(y + 1) * stride]
        left = bytes(3) + line[:-3]
        corner = bytes(3) + above[:-3]
        candidates = [
            b"\0" + line,
            b"\1" + bytes((a - b) & 255 for a, b in zip(line, left)),
            b"\2" + bytes((a - b) & 255 for a, b in zip(line, above)),
            b"\4" + bytes((a - paeth(b, c, d)) & 255
                          for a, b, c, d in zip(line, left, above, corner)),
        ]
        lines.append(min(candidates, key=lambda f: sum(min(b, 256 - b) for b in f[1:])))
        above = line
    with open(name + ".new", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                           (b"IDAT", zlib.compress(b"".join(lines), 9)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data +
                       struct.pack(">I", zlib.crc32(kind + data)))
    os.rename(name + ".new", name)


def paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


class Monitor:
    """QEMU's, in its machine-readable form"""
    def __init__(self, path):
        self.socket = connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise OSError("QEMU has closed its monitor")
            answer = json.loads(line)
            if "error" in answer:
                raise OSError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def connect(path):
    end = time.monotonic() + 30
    while True:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(path)
            channel.settimeout(60)
            return channel
        except OSError:
            channel.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


class Demo:
    """What is seen of one boot. Its sockets are QEMU's monitor and second serial port."""

    def __init__(self, boot, folder, sockets, cases):
        self.boot, self.folder, self.sockets, self.result = boot, folder, sockets, cases
        self.font = read_font()
        self.todo = list(SHOTS[boot])
        self.taken = []
        self.cases = 0
        self.monitor = self.port = None

    def shot(self, name):
        if not self.todo or self.todo[0][0] != name:
            raise ValueError(f"{name} is on the screen, but next should be "
                             f"{self.todo[0][0] if self.todo else 'nothing'}")
        _, (heap, base, size), subtitle = self.todo.pop(0)
        if not self.monitor:
            self.monitor = Monitor(os.path.join(self.sockets, "monitor"))
            self.port = connect(os.path.join(self.sockets, "serial"))
        want = expected_picture(self.font, heap, subtitle)

        ppm = os.path.join(self.folder, name + ".ppm")
        self.monitor.command("screendump", filename=ppm)
        picture = read_ppm(ppm)
        os.unlink(ppm)
        write_png(os.path.join(self.folder, name + ".png"), picture)
        wrong = difference(picture, want)
        self.result(not wrong, f"{name}: the screen shows what was drawn, all "
                        f"{WIDTH * HEIGHT} pixels", wrong)
        self.taken.append((name, picture, want))

        # As the machine sees it, not as the kernel says
        answer = self.monitor.command("human-monitor-command",
                                      **{"command-line": f"xp /1wx {UPBASE:#x}"})
        address = int(answer.split(":")[1], 16)
        inside = base <= address and address + 4 * WIDTH * HEIGHT <= base + size
        self.result(inside, f"{name}: the controller reads from {heap}",
                        f"it reads at {address:#x}")
        dump = os.path.join(self.folder, name + ".mem")
        self.monitor.command("pmemsave", val=address, size=4 * WIDTH * HEIGHT, filename=dump)
        with open(dump, "rb") as file:
            memory = file.read()
        os.unlink(dump)
        wrong = difference((WIDTH, HEIGHT, from_xrgb(memory)), want)
        self.result(not wrong, f"{name}: the memory there has the picture", wrong)
        self.port.sendall(b"\n")

    def line(self, line):
        word, _, rest = line.partition(": ")
        if word == "pass":
            self.cases += 1
            self.result(True, rest)
        elif word == "fail":
            self.cases += 1
            self.result(False, *rest.split(" | ", 1))
        elif word == "shot":
            self.shot(rest)
        elif word == "end":
            self.result(rest.startswith(f"{CASES[self.boot]} cases"),
                            f"{self.boot}: the program had all its cases",
                            f"{rest}, not {CASES[self.boot]} cases")
            self.cases = -1

    def judge_the_judge(self):
        """What would pass anything is no comparison."""
        if not self.taken:
            return
        name, picture, want = self.taken[0]
        pixels = bytearray(picture[2])
        pixels[len(pixels) // 2] ^= 1
        self.result(bool(difference(picture[:2] + (bytes(pixels),), want)),
                        f"{name}: one wrong bit would be seen", "it is not")
        for other, _, wanted in self.taken[1:]:
            if wanted != want:
                self.result(bool(difference(picture, wanted)), f"{name}: is told from {other}",
                                "it is not")


def from_xrgb(memory):
    pixels = bytearray(len(memory) // 4 * 3)
    pixels[0::3], pixels[1::3], pixels[2::3] = memory[2::4], memory[1::4], memory[0::4]
    return bytes(pixels)
