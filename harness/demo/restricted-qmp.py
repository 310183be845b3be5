#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: restricted-qmp.py SOCKET DEVICE START END

What QEMU's virtio disk DEVICE sees of its queues, asked through QMP again and again with the machine
stopped: the addresses of the rings, and of every descriptor in them, which stay there when they are
done with. Ends when it is killed, and prints
    witness: SAMPLES samples, ADDRESSES addresses in descriptors, DIFFERENT of them different, OUTSIDE outside
after one line for each of the first that are outside START to END.
"""
import json
import signal
import socket
import struct
import sys
import time

path, device, start, end = sys.argv[1], sys.argv[2], int(sys.argv[3], 0), int(sys.argv[4], 0)


class Gone(Exception):
    pass


def ask(command, **arguments):
    """The answer, None if there is none to be had."""
    try:
        f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        f.flush()
        for line in f:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                return None
    except OSError:
        pass
    raise Gone


samples = addresses = outside = 0
seen = set()


def look(what, addr, length):
    global outside
    if start <= addr and addr + length <= end:
        return
    outside += 1
    if outside <= 5:
        print(f"witness: {what}: {length} bytes at {addr:#x}")


def sample():
    """One look at all queues; False as long as the driver has set none up."""
    global addresses
    # On PCI the virtio device is a child of what has the name.
    backend = [d["path"] for d in ask("x-query-virtio") or ()
               if f"{d['path']}/".startswith(f"/machine/peripheral/{device}/")]
    if not backend:
        return False
    backend = backend[0]
    status = ask("x-query-virtio-status", path=backend)
    found = False
    for queue in range(status["num-vqs"] if status else 0):
        q = ask("x-query-virtio-queue-status", path=backend, queue=queue)
        if not q or not q["vring-desc"]:
            continue
        found = True
        num = q["vring-num"]
        look(f"queue {queue}, descriptors", q["vring-desc"], 16 * num)
        look(f"queue {queue}, available", q["vring-avail"], 6 + 2 * num)
        look(f"queue {queue}, used", q["vring-used"], 6 + 8 * num)
        ask("pmemsave", val=q["vring-desc"], size=16 * num, filename=path + ".ring")
        with open(path + ".ring", "rb") as ring:
            for addr, length, flags, following in struct.iter_unpack("<QIHH", ring.read()):
                # One that was never filled in is all zeros.
                if addr or length:
                    addresses += 1
                    seen.add((addr, length))
                    look(f"queue {queue}", addr, length)
    return found


def finish(*_):
    print(f"witness: {samples} samples, {addresses} addresses in descriptors, "
          f"{len(seen)} of them different, {outside} outside")
    sys.exit()


signal.signal(signal.SIGTERM, finish)
# QEMU runs more than once: the first only writes its device tree.
while True:
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        f = s.makefile("rw")
        f.readline()
        ask("qmp_capabilities")
        while True:
            ask("stop")
            try:
                samples += sample()
            finally:
                ask("cont")
            time.sleep(0.1)
    except (OSError, Gone):
        time.sleep(0.1)
