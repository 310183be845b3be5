#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: importers-screen.py PICTURES COMMAND...    run a machine and look at its screen

COMMAND starts QEMU and takes more options for it. Its output is ours. When the machine says

    screen: NAME WIDTH HEIGHT SEED

its screen is dumped and compared with the picture of that seed, see picture() in
rmem-heap-importers-gpu.c, and it gets the answer on its virtio serial port: y, or n if the picture
does not appear within some seconds. The last dump of each NAME stays in the folder PICTURES. The
exit status is that of COMMAND."""

import os
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 30


def connect(path):
    for _ in range(300):
        try:
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            return s
        except OSError:
            time.sleep(0.1)
    sys.exit(f'importers-screen: {path}: nobody answers')


def command(monitor, text):
    """Asks the human monitor, which is done when it prompts again."""
    monitor.sendall(text.encode() + b'\n')
    answer = b''
    while not answer.endswith(b'(qemu) '):
        more = monitor.recv(4096)
        if not more:
            break
        answer += more


def picture(width, height, seed):
    """The pixels, red, green, blue, as a PPM has them; memory has them the other way round,
    and a fourth byte."""
    memory = bytes((seed + 7 * pos + (pos >> 12)) & 0xff for pos in range(width * height * 4))
    pixels = bytearray(width * height * 3)
    for colour in range(3):
        pixels[2 - colour::3] = memory[colour::4]
    return bytes(pixels)


def pixels(path, width, height):
    """None if it is not a PPM of this size"""
    with open(path, 'rb') as file:
        data = file.read()
    head = f'P6\n{width} {height}\n255\n'.encode()
    return data[len(head):] if data.startswith(head) else None


def look(monitor, path, width, height, seed):
    want = picture(width, height, seed)
    end = time.monotonic() + PATIENCE
    while True:
        command(monitor, f'screendump {path}')
        have = pixels(path, width, height) if os.path.exists(path) else None
        if have == want:
            return True
        if time.monotonic() > end:
            if have is None:
                print('# no picture of this size')
            else:
                wrong = sum(a != b for a, b in zip(have, want))
                print(f'# {wrong} of {len(want)} bytes of the screen are wrong')
            return False
        time.sleep(0.2)


def main():
    pictures = os.path.abspath(sys.argv[1])
    os.makedirs(pictures, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        # Sockets want short names.
        options = ['-monitor', f'unix:{tmp}/monitor,server=on,wait=off',
                   '-chardev', f'socket,id=answer,path={tmp}/answer,server=on,wait=off',
                   '-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=answer']
        machine = subprocess.Popen(sys.argv[2:] + options, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        monitor = answer = None
        for raw in machine.stdout:
            line = raw.decode(errors='replace').rstrip()
            print(line, flush=True)
            if not line.startswith('screen: '):
                continue
            if not monitor:
                monitor, answer = connect(f'{tmp}/monitor'), connect(f'{tmp}/answer')
                command(monitor, '')
            _, name, width, height, seed = line.split()
            right = look(monitor, f'{pictures}/{name}.ppm', int(width), int(height), int(seed))
            answer.sendall(b'y' if right else b'n')
        return machine.wait()


if __name__ == '__main__':
    sys.exit(main())
