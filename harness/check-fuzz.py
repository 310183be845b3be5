#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: check-fuzz.py NUMBER [SEED]    run `rmem-heap check` on NUMBER mutated device trees

The trees of harness/cases and lib/kunit-tests are changed in their bytes and in their structure,
and checked by a program with AddressSanitizer and UBSan, as text and as JSON, with several
options, and as overlays. No tree may crash it or take ten seconds; JSON must be JSON. A tree that
does is left in build/check-fuzz. Prints TAP.
"""
import json
import os
import random
import re
import struct
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
work = os.path.join(root, "build", "check-fuzz")
tool = os.path.join(root, "tools", "dma", "rmem-heap")
WORDS = [0, 1, 2, 3, 4, 8, 9, 16, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 0x10000, 4096]
NAMES = [b"reg", b"size", b"alignment", b"alloc-ranges", b"ranges", b"dma-ranges", b"status",
         b"compatible", b"no-map", b"reusable", b"phandle", b"memory-region", b"device_type",
         b"#address-cells", b"#size-cells", b"export", b"iommu-addresses", b"qcom,vmids",
         b"linux,usable-memory-range", b"bootargs", b"linux,cma-default"]
NODES = [b"reserved-memory", b"reserved-memory@0", b"__local_fixups__", b"__symbols__", b"memory",
         b"chosen", b"linux,cma", b"x" * 300, b"a@1", b"\xff\x01", b""]
OPTIONS = [[], ["--json"], ["--mem", "1G"], ["--json", "--mem", "512M,0x40000000+64M"],
           ["--page-size", "64K"], ["--pageblock", "32M", "--cma-areas", "2"],
           ["--cmdline", "cma=0 rmem_heap.export=*:!a mem=300M"]]


def parse(blob):
    """The tokens of a tree that is intact: (1, name), (2,), (3, name, value)"""
    _, _, structs, strings, _ = struct.unpack_from(">5I", blob)
    pos, tokens = structs, []
    while True:
        token, = struct.unpack_from(">I", blob, pos)
        pos += 4
        if token == 1:
            end = blob.index(b"\0", pos)
            tokens.append((1, blob[pos:end]))
            pos = end + 4 & ~3
        elif token == 2:
            tokens.append((2,))
        elif token == 3:
            size, off = struct.unpack_from(">II", blob, pos)
            name = blob[strings + off:blob.index(b"\0", strings + off)]
            tokens.append((3, name, blob[pos + 8:pos + 8 + size]))
            pos = pos + 8 + size + 3 & ~3
        elif token == 9:
            return tokens


def build(tokens, reservations):
    body, strings, at = bytearray(), bytearray(), {}
    for token in tokens:
        body += struct.pack(">I", token[0])
        if token[0] == 1:
            body += token[1] + b"\0"
        elif token[0] == 3:
            if token[1] not in at:
                at[token[1]] = len(strings)
                strings += token[1] + b"\0"
            body += struct.pack(">II", len(token[2]), at[token[1]]) + token[2]
        body += bytes(-len(body) % 4)
    body += struct.pack(">I", 9)
    rsv = b"".join(struct.pack(">QQ", *r) for r in reservations + [(0, 0)])
    start = 40 + len(rsv)
    return struct.pack(">10I", 0xd00dfeed, start + len(body) + len(strings), start,
                       start + len(body), 40, 17, 16, 0, len(strings), len(body)) + \
        rsv + bytes(body) + bytes(strings)


def subtree(tokens, start):
    depth = 0
    for i in range(start, len(tokens)):
        depth += {1: 1, 2: -1}.get(tokens[i][0], 0)
        if not depth:
            return tokens[start:i + 1]
    return tokens[start:]


def change_tokens(tokens, pool):
    rnd, tokens = random, list(tokens)
    reservations = [(rnd.choice(WORDS) << rnd.choice((0, 12, 28)), rnd.choice(WORDS) << 12)
                    for _ in range(rnd.choice((0, 0, 0, 1, 3)))]
    for _ in range(rnd.choice((1, 1, 2, 3, 8))):
        i = rnd.randrange(len(tokens))
        token, kind = tokens[i], rnd.random()
        if token[0] == 3 and kind < .8:
            value = bytearray(token[2])
            what = rnd.randrange(6)
            if what == 0:
                value = value[:rnd.randrange(len(value) + 1)]
            elif what == 1:
                value += struct.pack(">I", rnd.choice(WORDS)) * rnd.choice((1, 1, 2, 50))
            elif what == 2 and len(value) >= 4:
                struct.pack_into(">I", value, rnd.randrange(len(value) // 4) * 4,
                                 rnd.choice(WORDS))
            elif what == 3 and value:
                value[rnd.randrange(len(value))] = rnd.randrange(256)
            elif what == 4:
                tokens.insert(i, (3, rnd.choice(NAMES), bytes(value)))
                continue
            tokens[i] = (3, rnd.choice(NAMES) if what == 5 else token[1], bytes(value))
        elif token[0] == 1 and kind < .3 and i:
            tokens[i] = (1, rnd.choice(NODES + [token[1] + b"@1000"]))
        elif token[0] == 1 and kind < .6 and i:
            other = rnd.choice(pool)
            starts = [k for k, t in enumerate(other) if t[0] == 1 and k]
            tokens[i:i] = subtree(other, rnd.choice(starts)) * rnd.choice((1, 1, 2, 30)) \
                if starts else []
        elif token[0] == 1 and kind < .7 and i:
            deep = rnd.choice((3, 61, 62, 63, 64, 500))
            tokens[i:i] = [(1, b"d")] * deep + [(2,)] * deep
        elif token[0] == 1 and kind < .9 and i:
            del tokens[i:i + len(subtree(tokens, i))]
        else:
            del tokens[i]
        if not tokens:
            break
    return build(tokens, reservations)


def change_bytes(blob):
    rnd, blob = random, bytearray(blob)
    for _ in range(rnd.choice((1, 1, 2, 4, 16))):
        what = rnd.randrange(7)
        at = rnd.randrange(max(1, len(blob) - 4)) & ~3
        if what == 0:
            at = rnd.randrange(10) * 4
        if len(blob) < 44:
            break
        if what <= 2:
            struct.pack_into(">I", blob, at, rnd.choice(WORDS + [len(blob), len(blob) - 1]))
        elif what == 3:
            blob[rnd.randrange(len(blob))] ^= 1 << rnd.randrange(8)
        elif what == 4:
            del blob[rnd.randrange(len(blob)):]
        elif what == 5:
            blob[at:at] = blob[at:at + rnd.choice((4, 8, 64))]
        else:
            del blob[at:at + rnd.choice((1, 4, 16))]
    return bytes(blob)


def seeds():
    blobs = []
    for folder in ("harness/cases", "lib/kunit-tests", "harness/dts"):
        path = os.path.join(root, folder)
        for name in sorted(os.listdir(path)):
            if not name.endswith(".dts"):
                continue
            for symbols in ([], ["-@"]):
                blobs.append(subprocess.run(
                    ["dtc", "-q", "-I", "dts", "-O", "dtb", "-i", os.path.join(root, "harness/dts"),
                     *symbols, os.path.join(path, name)], stdout=subprocess.PIPE,
                    check=True).stdout)
    return blobs


def run(blobs, options, base=None):
    """None, or the number of the blob that failed and what was said"""
    args = [os.path.join(work, "check-fuzz")]
    if base:
        args += ["--blob-is-overlay", os.path.join(work, "overlay.dtbo"), "--overlay",
                 os.path.join(work, "overlay.dtbo")]
        blobs = [base] + blobs
    stream = b"".join(struct.pack("<I", len(b)) + b for b in blobs)
    end = subprocess.run(args + options, input=stream, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    done = re.search(rb"^done: (\d+) .* (\d+) .* (\d+)", end.stderr, re.M)
    if end.returncode == 0 and "--json" in options:
        for number, document in enumerate(end.stdout.split(b"\x1e")[:-1]):
            try:
                json.loads(document)
            except ValueError as err:
                return (number, 0, "no JSON: %s" % err), None
    if end.returncode == 0 and done:
        return None, [int(n) for n in done.groups()]
    numbers = re.findall(rb"^(\d+)$", end.stderr, re.M)
    tail = b"\n".join(line for line in end.stderr.split(b"\n")
                      if not re.match(rb"\d+$|rmem-heap: ", line))
    return (int(numbers[-1]) if numbers else 0, end.returncode,
            tail.decode(errors="replace")[:3000]), None


def main():
    number = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    random.seed(seed)
    os.makedirs(work, exist_ok=True)
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-O1", "-g",
                    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o",
                    os.path.join(work, "check-fuzz"),
                    os.path.join(root, "harness/check/check-fuzz.c"),
                    *(os.path.join(tool, f) for f in ("check.c", "check-tree.c",
                                                      "check-predict.c", "check-find.c")),
                    "-lfdt"], check=True)
    blobs = seeds()
    pool = [parse(b) for b in blobs]
    counts, done, test, bad = [0, 0, 0], 0, 0, 0
    while done < number and not bad:
        batch, n = [], min(500, number - done)
        for _ in range(n):
            which = random.randrange(len(blobs))
            blob = change_tokens(pool[which], pool) if random.random() < .8 else blobs[which]
            batch.append(change_bytes(blob) if random.random() < .25 else blob)
        options = OPTIONS[test % len(OPTIONS)]
        base = random.choice(blobs) if test % 10 == 9 else None
        failed, some = run(batch, options, base)
        test += 1
        if failed:
            which, status, text = failed
            path = os.path.join(work, "failed-%d-%d.dtb" % (seed, done + which))
            with open(path, "wb") as out:
                out.write(batch[which])
            bad = 1
            print("# %s: status %d%s\n# %s" % (path, status, " as an overlay" if base else "",
                                               text.replace("\n", "\n# ")))
        else:
            counts = [a + b for a, b in zip(counts, some)]
        done += n
    print("%sok 1 - %d mutated trees, seed %d" % ("not " if bad else "", done, seed))
    print("# %d without errors, %d with errors, %d no trees" % tuple(counts))
    # Half of them must be trees, or little was tested.
    good = counts[0] + counts[1] > done // 4
    print("%sok 2 - enough of them were trees" % ("" if good else "not "))
    print("1..2")
    return bad or not good


if __name__ == "__main__":
    sys.exit(main())
