"""Where benchmarks run: namespaces of their own, CPUs, a directory, and programs that end with them."""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build/release")
SERVE_S = 20  # for a server to begin


class Failed(Exception):
    """A run that can't be counted; the text says why."""


class Skipped(Exception):
    """A workload or a variant that this machine does not have."""


def build():
    os.chdir(TOP)
    missing = [t for t in ("make", "ip", "ethtool", "wrk", "nginx", "gnuplot", "valgrind", "dpdk-testpmd")
               if not shutil.which(t)]
    if missing and not os.environ.get("BENCH_IS_SET_UP"):
        os.execv("./setup.sh", ["./setup.sh", "bench", *sys.argv[1:]])
    if missing:
        raise Failed(f"missing: {', '.join(missing)}")
    make = ["make", "--no-print-directory", "-s", f"-j{os.cpu_count()}"]
    if subprocess.run(make + ["apps", "build/release/mem_rpc", "build/release/watch.so"]).returncode:
        raise Failed("the build failed, see above")


def enter_namespaces():
    """Runs this program once more with networks and processes of its own; they end with it."""
    if os.environ.get("BENCH_INSIDE"):
        return
    ns = ["--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        ns = ["--user", "--map-root-user"] + ns
    if subprocess.run(["unshare"] + ns + ["true"], stderr=subprocess.DEVNULL).returncode:
        raise Failed("namespaces are needed: root, or a system that lets users make them")
    os.environ["BENCH_INSIDE"] = "1"
    os.execvp("unshare", ["unshare"] + ns + [sys.executable] + sys.argv)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Program:
    """A program in the background, pinned to CPUs; its output goes to files."""

    n_started = 0

    def __init__(self, place, argv, cpus, far=False, env=None):
        self.name = os.path.basename(argv[0])
        Program.n_started += 1
        self.out = place.path(f"{Program.n_started}.out")
        self.err = place.path(f"{Program.n_started}.err")
        enter = ["nsenter", "-t", str(place.far.pid), "-n"] if far else []
        pin = ["taskset", "-c", ",".join(map(str, cpus))]
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(enter + pin + argv, stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                            start_new_session=True, env=dict(os.environ, **(env or {})))

    def said(self):
        with open(self.out) as out:
            return out.read()

    def complaint(self):
        with open(self.err) as err:
            return f"{self.name}: {(self.said() + err.read())[-2000:]}"

    def wait_until(self, serves):
        end = time.monotonic() + SERVE_S
        while not serves():
            status = self.process.poll()
            if status == 77:
                raise Skipped(f"{self.name} does not serve this")
            if status is not None or time.monotonic() > end:
                self.stop()
                raise Failed(f"it did not begin to serve; {self.complaint()}")
            time.sleep(0.05)

    def result(self, timeout):
        """What it has said when it ended well."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed(f"not over after {timeout} s; {self.complaint()}") from None
        if status != 0:
            raise Failed(f"exit status {status}; {self.complaint()}")
        return self.said()

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            os.killpg(self.process.pid, sig)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Place:
    """
    A directory with the files that are served, the CPUs, and two network namespaces: this one, the
    clients', and the far one, the servers', with a veth pair between them when veth() was called.
    """
    FILES = {"64": 64, "16K": 16384, "1M": 1 << 20}
    HUGEPAGES = 256  # of 2 MB, for one program

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="bench.")
        self.cpus = sorted(os.sched_getaffinity(0))
        if len(self.cpus) < 2:
            raise Failed("two CPUs are needed, one for the server and one for the client")
        self.client_cpus = self.cpus[-1:]
        self.far = None
        self.has_veth = False

    def server_cpus(self, n=1):
        if n > len(self.cpus) - 1:
            raise Skipped(f"{n} CPUs for the server and one for the client are needed, "
                          f"there are {len(self.cpus)}")
        return self.cpus[:n]

    def veth(self):
        if self.has_veth:
            return
        for command in ("ip link add near type veth peer name far", f"ip link set far netns {self.far.pid}",
                        "ip addr add 10.77.0.1/24 dev near", "ip link set near up"):
            self.command(command)
        for command in ("ip addr add 10.77.0.2/24 dev far", "ip link set far up", "ip link set lo up"):
            self.command(command, far=True)
        self.has_veth = True

    def offloads(self, on):
        """The veth pair's; DPDK's af_packet knows neither large frames nor open checksums."""
        self.veth()
        word = "on" if on else "off"
        for far, dev in ((False, "near"), (True, "far")):
            self.command(f"ethtool -K {dev} tx {word} tso {word} gso {word} gro {word}", far)

    def command(self, text, far=False):
        enter = ["nsenter", "-t", str(self.far.pid), "-n"] if far else []
        done = subprocess.run(enter + text.split(), capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{text}: {done.stderr.strip() or done.stdout.strip()}")

    def __enter__(self):
        os.mkdir(self.path("www"))
        for name, size in self.FILES.items():
            with open(self.path("www", name), "wb") as f:
                f.write(os.urandom(size))
        self.far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=die_with_parent)
        mine = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.far.pid}/ns/net") == mine:
            time.sleep(0.01)
        self.command("ip link set lo up")
        self.has_hugepages = self.mount_hugepages()
        return self

    def mount_hugepages(self):
        """Are there enough for two programs, and may they be used? A mount that ends with the namespace."""
        if hugepages("free") < 2 * self.HUGEPAGES:
            return False
        os.mkdir(self.path("huge"))
        return subprocess.run(["mount", "-t", "hugetlbfs", "none", self.path("huge")],
                              stderr=subprocess.DEVNULL).returncode == 0

    def __exit__(self, *_):
        self.far.kill()
        self.far.wait()
        if self.has_hugepages:
            self.command(f"umount -l {self.path('huge')}")
        shutil.rmtree(self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)


def hugepages(which):
    """Of 2 MB: how many there are ("nr"), or are free."""
    with open(f"/sys/kernel/mm/hugepages/hugepages-2048kB/{which}_hugepages") as f:
        return int(f.read())


def describe():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(": ")[1].strip() for line in f if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu, "cpus": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
            "load": os.getloadavg()[0], "hugepages": hugepages("nr"), "commit": commit.stdout.strip() or "unknown"}
