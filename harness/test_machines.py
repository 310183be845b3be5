# SPDX-License-Identifier: GPL-2.0
"""Long runs and real devices: hostile users, failing memory, importers"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

import run
import vm
from conftest import LOGS

# By hand: BREAK=WHAT has a program spoil one of its checks, ONLY=TEXT leaves most of its paths out.
BY_HAND = "".join(f" {name.lower()}={os.environ[name]}" for name in ("BREAK", "ONLY") if name in os.environ)
EXPORT = "rmem_heap.export=carveout@15000000 dma_heap.mem_accounting=1"
slow = pytest.mark.slow


def named(*rows):
    """Parameters of a test, whose first is its name"""
    return [pytest.param(*row, id=row[0]) for row in rows]


def program(name, cross="", **files):
    """An initial file system with one of our selftests"""
    if cross:
        vm.deps("gcc-" + cross[:-1], "libc6-dev-armhf-cross" if "hf" in cross else "libc6-dev-arm64-cross")
    path = run.selftest("rmem-heap-" + name, vm.folder("test/" + cross), cross)
    return vm.initrd(f"{LOGS}/{cross}{name}.cpio", {"test": path, **files}, cross)


def tree(name):
    return vm.compile_tree(f"{vm.HARNESS}/dts/{name}.dts", f"{LOGS}/{name}.dtb")


def concatenate(dtsi, sources, node=""):
    with open(dtsi, "w") as f:
        for source in sources:
            with open(f"{vm.HARNESS}/dts/{source}") as g:
                f.write(g.read())
        f.write(node + "\n")


def judge(cases, label, boot):
    """The cases of a boot under a name, its end and its reports"""
    found = cases.ktap(boot, label=label + ": ")
    planned = re.search(r"^1\.\.([1-9]\d*)$", boot.text, re.M)
    cases(f"{label}: powered off after all of its tests, {planned[1] if planned else 'not known how many'}",
          boot.status == 0 and boot.exit_status() == 0 and planned and int(planned[1]) == len(found), boot.log)
    cases.no_report(boot, label + ": no report")


@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=slow)])
def test_fuzz(seconds, kernel, cases):
    """Hostile users of all heaps at once, tools/testing/selftests/rmem-heap/rmem-heap-fuzz.c: half of
    the time on one processor, half on two, five minutes a boot. SEED=N in the environment repeats
    one, as far as it does not depend on the scheduling."""
    kernel("um-debug")
    initrd, dtb = program("fuzz"), tree("fuzz")
    seed, left, two = int(os.environ.get("SEED") or (1 if seconds == 60 else time.time())), seconds, False
    while left:
        now = min(-(-seconds // 2), 300, left)
        label = f"{'two processors' if two else 'one processor'}: seed {seed}"
        append = f"{EXPORT if two else EXPORT.split()[0]} seconds={now} seed={seed}{BY_HAND}"
        judge(cases, label, vm.Machine("um-debug", initrd=initrd, dtb=dtb, mem="512M", smp=1 + two,
                                       append=append, timeout=now * 3 + 300).boot(f"{LOGS}/fuzz-{seconds}-{seed}.log"))
        left, seed, two = left - now, seed + 1, not two


def judge_failing(cases, label, boot):
    """The core says once, and once only, when a .vmap fails: that is expected, and nothing else."""
    if re.search(r"^ok .*vmap by a driver: [1-9]", boot.text, re.M):
        warning = r"^[^\n]*WARNING: [^\n]*at dma_buf_vmap\+.*?---\[ end trace[^\n]*\n"
        boot.text, n = re.subn(warning, "", boot.text, flags=re.M | re.S)
        cases(label + ": the core's WARN for a .vmap that fails, once", n == 1, boot.log)
    judge(cases, label, boot)


@slow
def test_failing_paths(kernel, cases):
    """Every allocation of everything that a program can reach fails, one after the other"""
    judge_failing(cases, "paths", vm.Machine(
        kernel("um-debug"), initrd=program("fail"), dtb=tree("fuzz"), mem="512M", timeout=3600,
        append=EXPORT + BY_HAND).boot(LOGS + "/failing-paths.log"))


@slow
def test_failing_functions(kernel, cases):
    """What heaps call fails, one function after the other, in all of the paths, see
    lib/kunit-tests/rmem_heap_fail.c. That takes kprobes, so it is on arm64."""
    with open(vm.HARNESS + "/dts/fuzz.dts") as f, open(LOGS + "/fuzz.dtsi", "w") as out:
        subprocess.run([vm.HARNESS + "/dts-gen/virt.py", "0x40000000"], stdin=f, stdout=out, check=True)
    judge_failing(cases, "functions", vm.Machine(
        kernel("arm64-fail"), initrd=program("fail", vm.CROSS["arm64"]), dtsi=LOGS + "/fuzz.dtsi", mem="1G",
        timeout=3600, append=f"functions=1 {EXPORT}{BY_HAND}").boot(LOGS + "/failing-functions.log"))


FIRSTS = 48
MODES = {"coherent": 'compatible = "shared-dma-pool"; no-map;', "write-combined": "no-map;",
         "restricted": 'compatible = "restricted-dma-pool";', "carveout": ""}


def first_tree(mode):
    """Drivers that make the heap of their region, which each can do once: after the boot, where
    failures can be injected. So they wait for a supplier, `gate`, whose own probe fails at boot, as
    `holder` has all the memory of its region."""
    regions = drivers = ""
    for i in range(1, FIRSTS + 1):
        base = 0x11000000 + i * 0x40000
        regions += f"r{i}: late-{i}@{base:x} {{ reg = <0 {base:#x} 0 0x40000>; {MODES[mode]} }};\n"
        drivers += f"""first-{i} {{ compatible = "linux,rmem-heap-sample"; memory-region = <&r{i}>;
            clocks = <&gate>; {"linux,write-combined;" if mode == "write-combined" else ""} }};\n"""
    with open(f"{LOGS}/first-{mode}.dts", "w") as f:
        f.write(f"""/dts-v1/;
/ {{
    #address-cells = <2>; #size-cells = <2>; compatible = "linux,um";
    reserved-memory {{
        #address-cells = <2>; #size-cells = <2>; ranges;
        gates: gates@10000000 {{ reg = <0 0x10000000 0 0x10000>; }};
        {regions}
    }};
    holder {{ compatible = "linux,rmem-heap-sample"; memory-region = <&gates>; }};
    gate: gate {{ compatible = "linux,rmem-heap-sample"; memory-region = <&gates>; #clock-cells = <0>; }};
    {drivers}
}};
""")
    return vm.compile_tree(f"{LOGS}/first-{mode}.dts", f"{LOGS}/first-{mode}.dtb")


@slow
@pytest.mark.parametrize("mode", MODES)
def test_failing_first(mode, kernel, cases):
    """Allocations of drivers that make the heap of their region fail, until there are no more"""
    initrd, dtb, points = program("fail"), first_tree(mode), FIRSTS
    for start in range(0, 10 * FIRSTS, FIRSTS):
        boot = vm.Machine(kernel("um-debug"), initrd=initrd, dtb=dtb, mem="512M", timeout=3600,
                          append=f"first={start} dma_heap.mem_accounting=1{BY_HAND}").boot(
                              f"{LOGS}/failing-{mode}-{start}.log")
        judge_failing(cases, f"{mode}-{start}", boot)
        points = re.search(r"export: number \d+ on: (\d+) points", boot.text)
        hidden = re.search(r"^# (\d+) of .* without statistics", boot.text, re.M)
        # A driver that binds later may have had more luck.
        cases(f"{mode}-{start}: the kernel says what it does not show", hidden and int(hidden[1]) <=
              len(re.findall("sysfs does not show all of it", boot.text)), boot.log)
        if not points or int(points[1]) < FIRSTS:
            break
    cases(f"{mode}: tried all of it", points and int(points[1]) < FIRSTS, boot.log)


REGIONS = "video@50000000:vram@54000000:guest@58000000:bank@5c000000:dsp@60000000"
VIVID = "vivid.n_devs=2 vivid.allocators=1,0 vivid.node_types=0x101,0x101 vivid.num_inputs=2,2 " \
    "vivid.input_types=8,8 vivid.num_outputs=1,1 vivid.output_types=0,0"
EDU = "-device edu,dma_mask=0xffffffffff"
# Where guest memory is a memfd, QEMU can make a udmabuf of a blob.
BLOBS = "-object memory-backend-memfd,id=ram,size=1G,share=on -machine memory-backend=ram " \
    "-device virtio-gpu-pci,blob=true,xres=640,yres=480"

# Device trees below harness/dts, a node, the program, memory, parameters, QEMU's options
IMPORTERS = {
    # the test consumers, vivid with both of its allocators, and QEMU's edu
    "devices": ("importers.dtsi", "", "importers", "3G", f"{VIVID} heaps={REGIONS} parts=consumer:vivid:edu",
                EDU),
    # edu behind a restricted pool; vivid and regions beyond 4 GiB
    "bounce": ("importers.dtsi importers-bounce.dtsi", "", "importers", "4G",
               f"{VIVID} heaps={REGIONS}:bank@118000000:dsp@11c000000 parts=beyond:bounce pool=guest@58000000",
               EDU),
    "iommu": ("importers.dtsi", "", "importers", "3G", f"heaps={REGIONS} parts=iommu",
              EDU + " -machine iommu=smmuv3"),
    # the same, with a restricted pool that the driver of edu assigns to the device
    "iommu-pool": ("importers.dtsi", "&{/pcie@10000000} { memory-region = <&guest>; };", "importers", "3G",
                   f"heaps={REGIONS} parts=iommu pool=guest@58000000 rmem_heap_edu.assign=1",
                   EDU + " -machine iommu=smmuv3"),
    # virtio-gpu, and its screen
    "gpu": ("importers.dtsi", "", "importers-gpu", "1G", f"heaps={REGIONS} blob=1", BLOBS),
    # without what it needs to import: its own buffer on the screen, and imports that are refused
    "no-blobs": ("importers.dtsi", "", "importers-gpu", "1G", f"heaps={REGIONS} blob=0",
                 "-device virtio-gpu-pci,xres=640,yres=480"),
}


def importers_machine(part):
    trees, node, name, mem, append, options = IMPORTERS[part]
    dtsi = f"{LOGS}/importers-{part}.dtsi"
    concatenate(dtsi, trees.split(), node)
    return vm.Machine("arm64", initrd=program(name, vm.CROSS["arm64"]), dtsi=dtsi, mem=mem, timeout=400,
                      append=f"rmem_heap.export=bank@5c000000:dsp@60000000 {append}{BY_HAND}",
                      options=options.split())


@slow
@pytest.mark.parametrize("part", IMPORTERS)
def test_importers(part, kernel, cases):
    """Real importers on buffers of every kind of heap, in QEMU's "virt" machine"""
    kernel("arm64")
    machine, log = importers_machine(part), f"{LOGS}/importers-{part}.log"
    if IMPORTERS[part][2] == "importers":
        judge(cases, part, machine.boot(log))
        return
    command = [sys.executable, vm.HARNESS + "/demo/importers-screen.py", f"{LOGS}/importers-{part}",
               vm.HARNESS + "/vm.py", "boot", "arm64", *machine.options]
    env = {"INITRD": machine.initrd, "DTSI": machine.dtsi, "MEM": machine.mem, "APPEND": machine.append,
           "TIMEOUT": "400"}
    if part == "gpu" and not os.access("/dev/udmabuf", os.W_OK):
        # QEMU needs the /dev/udmabuf of the machine that it runs on; User-Mode Linux has one.
        host = vm.host_machine(["env", *(f"{k}={v}" for k, v in env.items()), *command], kernel=kernel("um"))
        judge(cases, part, host.boot(log))
        return
    with open(log, "w") as out:
        status = subprocess.run(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, check=False, preexec_fn=vm.end_with_us).returncode
    with open(log, errors="replace") as f:
        judge(cases, part, vm.Boot(status, f.read() + f"guest: exit status {status}\n", log))


@slow
@pytest.mark.parametrize("name, trees", named(
    # A bank of memory without error correction is a CMA area and a carveout, and the board's video
    # memory is a heap as well: pl111's driver imports a buffer of each, and scans it out.
    ("scanout", ["framebuffer"]),
    # The driver allocates from the video memory itself, as the heap does: one pool.
    ("pool", ["framebuffer", "vram"])))
def test_demo_framebuffer(name, trees, kernel, cases):
    """Pictures in buffers of heaps, on the screen of QEMU's vexpress-a9"""
    from demo.framebuffer import Demo
    folder, dtsi = vm.folder("demo-framebuffer"), f"{LOGS}/framebuffer-{name}.dtsi"
    concatenate(dtsi, [f"vexpress-{t}.dtsi" for t in trees])
    with tempfile.TemporaryDirectory(prefix="demo.", dir="/tmp") as sockets:
        demo = Demo(name, folder, sockets, cases)
        boot = vm.Machine(
            kernel("arm-vexpress"), dtsi=dtsi, timeout=300, append=f"demo={name} rmem_heap.export=vram@4c000000",
            initrd=program("framebuffer", vm.CROSS["arm"], **{"font.txt": vm.HARNESS + "/demo/font.txt"}),
            options=["-qmp", f"unix:{sockets}/monitor,server=on,wait=off",
                     "-serial", f"unix:{sockets}/serial,server=on,wait=off"]).boot(
                         f"{LOGS}/framebuffer-{name}.log", demo.line)
    cases(f"{name}: the machine ran to its end", boot.status == 0 and demo.cases == -1, boot.log)
    cases(f"{name}: every picture was there", not demo.todo, f"missing: {demo.todo}")
    demo.judge_the_judge()
    cases.no_report(boot, name + ": no report")


POOL, STEP, LEN = (0x50000000, 0x51000000), 12345, 4 << 20
FILES = "data data2 beside direct synced churn0 churn1".split()     # as the program has them
DISK_CASES = """the disk's pool is the region of the heap
reads are right and go through the pool
reads are right beside heap buffers
writes are right beside heap buffers
I/O is right while the pool is exhausted and freed, over and over
exhausted: I/O waits or fails
exhausted: heap buffers keep what is in them
freed: what waited completes and is right
freed: the disk works and every file is right
nothing of the pool is lost
every DMA address is in the pool""".split("\n")
MMIO, PCI = "&{/virtio_mmio@a003e00}", "&{/pcie@10000000}"


class Disk:
    """A disk whose DMA goes through a restricted pool that is a heap as well. Three witnesses: the
    program in the machine compares all data, a checker in the kernel looks at all DMA addresses, and
    QEMU is asked for what the disk has seen."""

    def __init__(self, name):
        vm.deps("e2fsprogs")
        self.name, self.folder = name, vm.folder("demo-restricted")
        self.image, self.reference = f"{self.folder}/{name}.img", os.urandom(LEN + len(FILES) * STEP + 5 * 4096)
        with open(self.folder + "/reference", "wb") as f:
            f.write(self.reference)
        root = self.folder + "/root"
        shutil.rmtree(root, ignore_errors=True)
        os.mkdir(root)
        for i in range(2):
            with open(f"{root}/{FILES[i]}", "wb") as f:
                f.write(self.part(i))
        if os.path.exists(self.image):
            os.unlink(self.image)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, self.image, "64M"], check=True, env=SBIN,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def part(self, i):
        """What file number i must hold"""
        return self.reference[i * STEP:i * STEP + LEN]

    def boot(self, bus, device, append):
        dtsi = f"{LOGS}/disk-{self.name}.dtsi"
        concatenate(dtsi, ["restricted.dtsi"], bus and bus + " { memory-region = <&disk_pool>; };")
        with tempfile.TemporaryDirectory(prefix="demo.", dir="/tmp") as sockets:
            witness = subprocess.Popen(
                [sys.executable, vm.HARNESS + "/demo/restricted-qmp.py", sockets + "/qmp", "disk",
                 *map(hex, POOL)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, preexec_fn=vm.die_with_us)
            try:
                boot = vm.Machine(
                    "arm64", initrd=program("restricted", vm.CROSS["arm64"], data=self.folder + "/reference"),
                    dtsi=dtsi, mem="1G", smp=2, timeout=300, append="rmem_heap_dma_check.on=1 " + append,
                    options=["-drive", f"if=none,id=hd,format=raw,file={self.image}", "-device",
                             device + ",id=disk,drive=hd,iommu_platform=on,indirect_desc=off",
                             "-global", "virtio-mmio.force-legacy=false",
                             "-qmp", f"unix:{sockets}/qmp,server=on,wait=off"]).boot(
                                 f"{LOGS}/disk-{self.name}.log")
            finally:
                witness.terminate()
                self.witness = witness.communicate()[0]
        return boot

    @staticmethod
    def said(boot):
        """The program's cases, and whether each is right"""
        return [(case.split(" (")[0], not bad) for bad, case in re.findall(r"^(not )?ok - (.*)$", boot.text, re.M)]

    def seen_outside(self):
        """How many addresses outside of the pool QEMU saw; None if it was not asked"""
        found = re.search(r"^witness: [1-9]\d* samples, [1-9]\d* addresses .*, (\d+) outside$", self.witness, re.M)
        return int(found[1]) if found else None

    def dumped(self, i):
        out = self.folder + "/dumped"
        if os.path.exists(out):
            os.unlink(out)
        subprocess.run(["debugfs", "-R", f"dump /{FILES[i]} {out}", self.image], env=SBIN, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(out, "rb") as f:
            return f.read()

    def clean(self):
        """Unmounted, that is without a journal to replay, and without a fault"""
        check = subprocess.run(["e2fsck", "-fn", self.image], env=SBIN, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, check=False)
        head = subprocess.run(["dumpe2fs", "-h", self.image], env=SBIN, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        return check.returncode == 0 == head.returncode and "needs_recovery" not in head.stdout


SBIN = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


@slow
@pytest.mark.parametrize("name, bus, device", named(
    ("mmio", MMIO, "virtio-blk-device"), ("pci", PCI, "virtio-blk-pci,disable-legacy=on")))
def test_demo_restricted(name, bus, device, kernel, cases):
    """The disk must work beside heap buffers; with the pool exhausted by them it may wait or fail, but
    nothing may be corrupted; and it must recover"""
    kernel("arm64")
    disk = Disk(name)
    boot = disk.boot(bus, device, "heap=disk@50000000")
    said = disk.said(boot)
    for case, ok in [*said, *((c, False) for c in DISK_CASES if c not in dict(said))]:
        cases(f"{name}: {case}", ok, boot.log)
    cases(f"{name}: the program came to its end", re.search("^demo: done$", boot.text, re.M), boot.log)
    cases(f"{name}: QEMU saw no address outside the pool", disk.seen_outside() == 0, disk.witness)
    cases.no_report(boot, name + ": no report")
    cases(f"{name}: the file system is clean", disk.clean())
    cases(f"{name}: the files in the image are right",
          all(disk.dumped(i) == disk.part(i) for i in range(len(FILES))))
    os.unlink(disk.image)


@slow
@pytest.mark.parametrize("name, bus, append, looked, what", named(
    ("wrong-byte", MMIO, "", r"data=wrong mappings=[1-9]\d* outside=0", "wrong bytes on the disk are seen"),
    ("shifted", MMIO, " rmem_heap_dma_check.shift=0x1000000", r"data=right mappings=[1-9]\d* outside=[1-9]\d*",
     "with a pool elsewhere the checker sees addresses outside"),
    ("no-pool", "", "", r"data=right mappings=[1-9]\d* outside=[1-9]\d*",
     "without a pool the checker sees addresses outside")))
def test_demo_restricted_controls(name, bus, append, looked, what, kernel, cases):
    """Each witness objects where it must"""
    kernel("arm64")
    disk = Disk(name)
    if name == "wrong-byte":
        with open(disk.image, "r+b") as image:
            image.seek(image.read().index(disk.part(0)[-64:]))
            image.write(b"a wrong byte")
    boot = disk.boot(bus, "virtio-blk-device", "look=1" + append)
    cases(f"control: {what}", re.search(f"^look: {looked}$", boot.text, re.M) and
          all(ok for _, ok in disk.said(boot)), boot.log)
    if name == "no-pool":
        cases("control: without a pool QEMU sees addresses outside", disk.seen_outside(), disk.witness)
    os.unlink(disk.image)
