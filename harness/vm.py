#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The machines that the tests boot: User-Mode Linux, and QEMU's "virt" and "vexpress-a9".

usage: vm.py boot KERNEL [QEMU-OPTION...]   boot build/KERNEL: um, um-debug, arm64, arm-vexpress ...
       vm.py host COMMAND...                run a command on User-Mode Linux with the files of this
                                            machine, which may have less in its kernel
       vm.py initrd OUT [IMG=HOST...]       write an initial file system whose first program is
                                            harness/guest.c, which runs /test
       vm.py reports CONSOLE...             print what a kernel complained about
From the environment:
  INITRD=y.cpio  initial file system        APPEND="..."  more kernel parameters
  DTB=x.dtb      User-Mode Linux: its device tree; not checked with CHECK_TREE=0
  DTSI=x.dtsi    QEMU: nodes that the machine's own device tree gets in addition
  MEM=512M SMP=1 memory and processors. User-Mode Linux has memory from 0 to MEM; when left out:
                 512M, or as much as the regions of its device tree need
  TIMEOUT=600    seconds until the machine is stopped, 0 for never
  KERNEL=um-x    build/um-x instead of um and um-debug
The console is stdout, and stdin when that is a terminal. Exit status: 0 when the machine powered
itself off, 124 when the time was up, else something went wrong.
"""
import ctypes
import fcntl
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import memory

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = ROOT + "/build"
TREE = BUILD + "/tree"
HARNESS = ROOT + "/harness"
CFLAGS = "-static -O2 -Wall -Wextra -Werror".split()
CROSS = {"arm64": "aarch64-linux-gnu-", "arm": "arm-linux-gnueabihf-"}

# QEMU's program, the kernel's image, QEMU's options, and memory when nobody says how much. The
# rest of a kernel's name, after the first "-", is its variant.
QEMU = {
    "arm64": ("qemu-system-aarch64", "arch/arm64/boot/Image", "-machine virt -cpu cortex-a76", "2G"),
    "arm": ("qemu-system-arm", "arch/arm/boot/zImage", "-machine virt -cpu cortex-a15", "2G"),
    "arm-vexpress": ("qemu-system-arm", "arch/arm/boot/zImage", "-machine vexpress-a9", "1G"),
}

# What a kernel complains about: warnings, bugs, sanitizers, lockdep, DMA debugging, leaks,
# duplicate names in sysfs, a CMA area that is full; or DMA debugging, kmemleak or lockdep having
# stopped, as nothing is checked from there on. Injected failures announce themselves and are none.
REPORT = re.compile(
    r"WARNING:|BUG:|BUG at|KASAN|UBSAN|Oops|Kernel panic|general protection"
    r"|INFO: (possible|task|rcu)|possible (circular|recursive)|suspicious RCU"
    r"|DMA-API: .*(overlap|device driver|leak)|unreferenced object"
    r"|dma-debug disabled|debugging out of memory|memleak disabled|leak detector disabled"
    r"|turning off the locking|cma: .*alloc failed, req-size"
    r"|kmemleak: [1-9][0-9]* new|cannot create duplicate filename|sleeping function")
# Bringing up a second processor is itself reported in 7.3.4, before anything has run.
SECOND_PROCESSOR = re.compile(r"^smp: Bringing up secondary.*?^smp: Brought up[^\n]*\n", re.M | re.S)


# What must not get to the machine from the environment
OURS = "APPEND DTB INITRD KERNEL MEM SMP TIMEOUT TMPDIR".split()
locked = []


libc = ctypes.CDLL(None)


class Failed(Exception):
    """What cannot be done, and why, in a line"""


def deps(*packages):
    """See that Debian's packages are there"""
    if subprocess.call([HARNESS + "/deps.sh", *packages]):
        raise Failed("packages are missing")


def end_with_us(by=signal.SIGTERM):
    """For a child: it must not survive who has started it"""
    libc.prctl(1, by)


def die_with_us():
    """The same for a machine, which has no children; and it leaves no core when it panics"""
    end_with_us(signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def make(*args, **variables):
    subprocess.run(["make", "-s", *args, *(f"{k}={v}" for k, v in variables.items())], check=True)


def folder(name):
    """build/NAME, made if need be"""
    os.makedirs(f"{BUILD}/{name}", exist_ok=True)
    return f"{BUILD}/{name}"


def lock(path, how=fcntl.LOCK_EX):
    """Waits until no other run has build/PATH, and has it from then on"""
    locked.append(open(f"{BUILD}/{path}", "a"))
    try:
        fcntl.flock(locked[-1], how | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another run to finish (build/{path})", file=sys.stderr, flush=True)
        fcntl.flock(locked[-1], how)


def compile_program(source, out, cross="", *flags):
    """A static program of one file; nothing is done twice"""
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        new = f"{out}.{os.getpid()}"
        subprocess.run([cross + "gcc", *CFLAGS, *flags, "-o", new, source], check=True)
        os.replace(new, out)
    return out


def compile_tree(source, out, *flags):
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", *flags, "-o", out, source], check=True)
    return out


def initrd(out, files, cross=""):
    """An initial file system (a newc archive) with files: paths on this machine by those there.
    /test is the program that is run."""
    init = compile_program(HARNESS + "/guest.c", f"{BUILD}/guest/{cross}guest", cross)
    archive = bytearray()

    def entry(name, mode, data=b"", device=(0, 0)):
        fields = (len(archive), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        archive.extend(b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0")
        archive.extend(bytes(-len(archive) % 4) + data)
        archive.extend(bytes(-len(archive) % 4))

    folders = {"dev", "proc", "sys", "tmp"}
    for name in files:
        parts = name.split("/")[:-1]
        folders |= {"/".join(parts[:i + 1]) for i in range(len(parts))}
    for name in sorted(folders):
        entry(name, 0o40755)
    entry("dev/console", 0o20600, device=(5, 1))
    for name, path in [("init", init), *files.items()]:
        try:
            with open(path, "rb") as f:
                entry(name, 0o100755 if os.access(path, os.X_OK) else 0o100644, f.read())
        except OSError as e:
            raise Failed(f"{path}: {e.strerror}") from e
    entry("TRAILER!!!", 0)
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    new = f"{out}.{os.getpid()}"
    with open(new, "wb") as f:
        f.write(archive)
    os.replace(new, out)
    return out


class Boot:
    """What a machine has said, and how it ended"""

    def __init__(self, status, text, log=None):
        self.status, self.text, self.log = status, text.replace("\r", ""), log

    def reports(self):
        """What the kernel complained about, each with the lines behind it"""
        if not self.text:
            return ["there is no console"]
        lines = SECOND_PROCESSOR.sub("", self.text).splitlines()
        return ["\n".join(lines[i:i + 12]) for i, line in enumerate(lines) if REPORT.search(line)]

    def exit_status(self):
        """Of the program in it; None if it did not get to its end"""
        found = re.findall(r"^guest: exit status (\d+)$", self.text, re.M)
        return int(found[-1]) if found else None

    def cases(self):
        """(name, "passed", "failed" or "skipped", reason) of each KTAP line that has no others
        below it. What is announced and does not come has crashed, which is failed here."""
        sys.path.insert(0, TREE + "/tools/testing/kunit")
        sys.dont_write_bytecode = True
        import kunit_parser
        from kunit_printer import Printer

        class Silent(Printer):
            def print(self, message, end="\n"):
                pass

        status = kunit_parser.TestStatus
        found = []

        def walk(test, above):
            name = "/".join(above + [test.name.strip()])
            for t in test.subtests:
                walk(t, above + [test.name.strip()] if test.name != "main" else [])
            # A sum counts only where it fails and nothing below it does.
            below = any(t.counts.failed or t.counts.crashed for t in test.subtests)
            if test.status == status.NO_TESTS or test.subtests and (below or test.status != status.FAILURE):
                return
            outcome = {status.SUCCESS: "passed", status.SKIPPED: "skipped"}.get(test.status, "failed")
            found.append((name.replace("\1", "#"), outcome, test.skip_reason))

        # The parser takes all that follows its header for a line of a test, or of its log.
        text = re.sub(r"\A.*?(?=^\s*KTAP version 1$)", "", self.text, count=1, flags=re.M | re.S)
        # It takes no # in a name.
        text = re.sub(r"^ *(not )?ok \d+ .*$", lambda m: re.sub("#(?! SKIP)", "\1", m[0]), text, flags=re.M)
        walk(kunit_parser.parse_run_tests(text.splitlines(), Silent()), [])
        # A line that the parser does not know must not get lost.
        said = len(re.findall(r"^ *(?:not )?ok \d+", self.text, re.M))
        sums = len(re.findall(r"^ *# Subtest:", self.text, re.M))
        if len(found) < said - sums:
            found.append((f"{said - sums} results, the parser has {len(found)}", "failed", ""))
        return found


def size(text):
    """Bytes of 512M or 1G"""
    found = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not found:
        raise Failed(f"MEM={text} is not a size such as 512M or 1G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def readable(**files):
    for what, path in files.items():
        if path and not os.path.isfile(path):
            raise Failed(f"{what}={path} does not exist")
        if path and not os.access(path, os.R_OK):
            raise Failed(f"{what}={path} cannot be read")


class Machine:
    """What is to be booted. `options` are QEMU's."""

    def __init__(self, kernel, initrd="", dtb="", dtsi="", append="", mem="", smp=1, timeout=600,
                 check_tree=True, options=()):
        self.um = kernel.startswith("um")
        self.kernel = os.environ.get("KERNEL") or kernel if kernel in ("um", "um-debug") else kernel
        self.initrd, self.dtb, self.dtsi, self.append = initrd, dtb, dtsi, append
        self.mem, self.smp, self.timeout = mem, smp, timeout
        self.check_tree, self.options = check_tree, list(options)
        self.interactive, self.scratch = False, None

    def boot(self, log=None, line=None):
        """Boots it, and returns a Boot. The console goes to the file `log` as it comes; with
        `line`, that is called with each line."""
        try:
            with tempfile.TemporaryDirectory(prefix="vm.", dir="/tmp") as folder:
                command, env = (self.um_command if self.um else self.qemu_command)(folder)
                return self.run(command, env, log, line)
        finally:
            if self.scratch:
                shutil.rmtree(self.scratch)

    def image(self, path):
        image = f"{BUILD}/{self.kernel}/{path}"
        if not os.path.exists(image):
            target, _, variant = self.kernel.partition("-")
            raise Failed(f"there is no {os.path.relpath(image, ROOT)}; run: make kernel TARGET={target}"
                         + (f" VARIANT={variant}" if variant else ""))
        return image

    def um_command(self, folder):
        linux = self.image("linux")
        readable(INITRD=self.initrd, DTB=self.dtb)
        if not self.initrd and not re.search(r"(^| )(root=|kunit\.)", self.append):
            raise Failed("say what to run: INITRD=file.cpio with an /init in it (or root= or "
                         "kunit.* in APPEND)")
        need, dtb = size(self.mem or "512M"), self.dtb
        if dtb and self.check_tree:
            need, without = memory.check(dtb, self.mem and need, self.initrd)
            if without:
                dtb = folder + "/tree.dtb"
                with open(dtb, "wb") as f:
                    f.write(without)
            if not self.mem and need != 512 << 20:
                print(f"boot: MEM is {need >> 20}M, for the regions of the device tree",
                      file=sys.stderr)
        # It keeps the machine's memory in an unlinked file that it maps executable.
        place = BUILD
        if os.access("/dev/shm", os.W_OK) and not os.statvfs("/dev/shm").f_flag & os.ST_NOEXEC and \
           shutil.disk_usage("/dev/shm").free >= need:
            place = "/dev/shm"
        # No input is not the end of input, which would hang the console up. Its control files
        # (umid) go into a folder with a short name: one is a socket.
        command = [linux, f"mem={self.mem or '%dM' % (need >> 20)}", f"uml_dir={folder}/", "umid=um",
                   f"con0={'fd:0' if self.interactive else 'null'},fd:1", "con=null", "console=tty0",
                   "seccomp=auto", "panic=-1"]
        if self.smp > 1:
            command.append(f"ncpus={self.smp}")
        if dtb:
            command.append("dtb=" + os.path.realpath(dtb))
        if self.initrd:
            command += ["initrd=" + os.path.realpath(self.initrd), "rdinit=/init"]
        return command + self.append.split(), {"TMPDIR": place}

    def qemu_command(self, folder):
        name = self.kernel if self.kernel in QEMU else self.kernel.split("-")[0]
        if name not in QEMU:
            raise Failed(f"there is no machine for the kernel {self.kernel}")
        qemu, image, machine, mem = QEMU[name]
        readable(INITRD=self.initrd, DTSI=self.dtsi)
        image = self.image(image)
        deps("qemu-system-arm", "device-tree-compiler", "gcc")
        command = [qemu, *machine.split(), "-m", self.mem or mem, "-smp", str(self.smp),
                   *"-nodefaults -nographic -no-reboot -serial stdio".split()]
        boot = ["-kernel", image, "-append",
                f"console=ttyAMA0 panic=-1 loglevel=5 {self.append}".rstrip()]
        if self.initrd:
            boot += ["-initrd", self.initrd]
        if self.dtsi or name == "arm-vexpress":
            boot += ["-dtb", self.merged_tree(name, command, folder)]
        # A board with sound would look for a card.
        return command + boot + self.options, {"QEMU_AUDIO_DRV": "none"}

    def merged_tree(self, name, command, folder):
        """The device tree of the machine, and our nodes"""
        if name == "arm-vexpress":
            dts = TREE + "/arch/arm/boot/dts/arm"
            made = ["gcc", "-E", "-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", "-P",
                    "-I", dts, "-I", TREE + "/include", dts + "/vexpress-v2p-ca9.dts"]
        else:
            dump = subprocess.run([*command, *self.options, "-machine", f"dumpdtb={folder}/own.dtb"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            if dump.returncode:
                raise Failed(f"{command[0]} cannot write its device tree: {dump.stdout.strip()}")
            made = ["dtc", "-q", "-I", "dtb", "-O", "dts", folder + "/own.dtb"]
        source = subprocess.run(made, check=True, stdout=subprocess.PIPE, text=True).stdout
        if self.dtsi:
            with open(self.dtsi) as f:
                source += f.read()
        with open(folder + "/all.dts", "w") as f:
            f.write(source)
        try:
            return compile_tree(folder + "/all.dts", folder + "/all.dtb")
        except subprocess.CalledProcessError:
            raise Failed(f"{self.dtsi or 'the device tree'} cannot be merged") from None

    def run(self, command, env, log, line):
        text, late = [], threading.Event()
        machine = subprocess.Popen(
            command, env={**os.environ, **env}, stdin=None if self.interactive else subprocess.DEVNULL,
            stdout=None if self.interactive else subprocess.PIPE,
            stderr=None if self.interactive else subprocess.STDOUT, preexec_fn=die_with_us)

        def stop():
            late.set()
            machine.terminate()
            time.sleep(5)
            machine.kill()

        timer = threading.Timer(self.timeout, stop)
        timer.daemon = True
        try:
            if self.timeout:
                timer.start()
            if not self.interactive:
                with open(log or os.devnull, "wb") as out:
                    for raw in machine.stdout:
                        out.write(raw)
                        out.flush()
                        text.append(raw)
                        if line:
                            line(raw.decode(errors="replace").rstrip("\r\n"))
            status = machine.wait()
        finally:
            timer.cancel()
            machine.kill()
            machine.wait()
            if self.interactive:
                subprocess.call(["stty", "sane"])
        if late.is_set():
            status = 124
        elif status < 0:
            status = 128 - status
        return Boot(status, b"".join(text).decode(errors="replace"), log)


def host_machine(command, **kw):
    """User-Mode Linux that runs COMMAND, in our environment, with the files of this machine"""
    scratch = tempfile.mkdtemp(dir=folder("host"))
    script = scratch + "/command"
    if re.search(r"\s", script):
        # Kernel parameters cannot have blanks.
        raise Failed(f"the path to {script} has blanks in it")
    with open(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        for name, value in os.environ.items():
            if name not in OURS and re.fullmatch(r"\w+", name):
                f.write(f"export {name}={shlex.quote(value)}\n")
        f.write(f"cd {shlex.quote(os.getcwd())}\nexec {shlex.join(command)}\n")
    # /tmp, which it has of its own, may be where the repository is.
    append = f"loglevel=5 run={script} again={ROOT} {kw.pop('append', '')}"
    machine = Machine(kw.pop("kernel", "um"), initrd=initrd(scratch + "/host.cpio", {}), append=append,
                      mem=kw.pop("mem", "3G"), **kw)
    machine.scratch = scratch
    return machine


def ended(boot, timeout):
    said = {0: None, 124: f"stopped after {timeout} seconds (TIMEOUT)",
            134: "the kernel panicked"}.get(boot.status, f"the machine ended with status {boot.status}")
    if said:
        print(f"\nboot: {said}", file=sys.stderr)
    return boot.status


def main(what="", *args):
    env = os.environ.get
    if what == "reports" and args:
        bad = []
        for path in args:
            with open(path, errors="replace") as f:
                bad += Boot(0, f.read()).reports()
        print("\n--\n".join(bad), end="\n" if bad else "")
        return bool(bad)
    if what == "initrd" and args:
        wrong = [a for a in args[1:] if "=" not in a]
        if wrong:
            raise Failed(f"{wrong[0]} is not path-in-image=path-on-host")
        initrd(args[0], dict(a.split("=", 1) for a in args[1:]), env("CROSS_COMPILE", ""))
        return 0
    if what not in ("boot", "host") or not args:
        print(__doc__, file=sys.stderr)
        return 2
    settings = {"append": env("APPEND", ""), "dtb": env("DTB", "")}
    interactive = what == "boot" and args[0].startswith("um") and sys.stdin.isatty()
    timeout = env("TIMEOUT") or ("0" if interactive else "600")
    if not timeout.isdigit():
        raise Failed(f"TIMEOUT={timeout} is not a number of seconds")
    if not (env("SMP") or "1").isdigit():
        raise Failed(f"SMP={env('SMP')} is not a number of processors")
    settings["timeout"] = int(timeout)
    if what == "host":
        machine = host_machine(args, mem=env("MEM") or "3G", **settings)
    else:
        machine = Machine(args[0], initrd=env("INITRD", ""), dtsi=env("DTSI", ""), mem=env("MEM", ""),
                          smp=int(env("SMP") or 1), check_tree=env("CHECK_TREE") != "0",
                          options=args[1:], **settings)
    machine.interactive = interactive
    boot = machine.boot(line=lambda text: print(text, flush=True))
    if what == "host" and not boot.status:
        return 1 if boot.exit_status() is None else boot.exit_status()
    return ended(boot, timeout)


def call(main, args):
    """Runs a program: nothing that it starts survives it, and it does not survive who has started it.
    What cannot be done is said in a line."""
    def end(number, _):
        # A second one would end us before we have tidied up.
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    # A make that calls us must not make ours silent, or build another kernel than we ask for.
    for name in "MAKEFLAGS MFLAGS MAKELEVEL TARGET VARIANT DEBUG LLVM".split():
        os.environ.pop(name, None)
    end_with_us()
    # nohup ignores one of them.
    signals = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    for number in signals:
        signal.signal(number, end)
    try:
        sys.exit(main(*args))
    except (Failed, memory.Wrong) as error:
        name = os.path.basename(sys.argv[0]).removesuffix(".py")
        sys.exit(f"{'boot' if name == 'vm' else name}: {error}")
    except subprocess.CalledProcessError as error:
        # The command has said why.
        sys.exit(error.returncode)


if __name__ == "__main__":
    call(main, sys.argv[1:])
