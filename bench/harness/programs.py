"""The programs that are measured and those that measure: each a function of what it shall do."""
import json
import os
import re
import socket
import time
import urllib.request

from .machine import BUILD, Failed, Program

ADDRESS = {"memif": "10.77.0.3", "veth": "10.77.0.4", "kernel": "10.77.0.2", "tap": "10.78.0.2"}
DEVICE = {"veth": "net_af_packet0,iface=far", "tap": "tap0,iface=tap"}


def conf(place, name, device, address, monitor=None, cores=1):
    """A mos.conf; its path."""
    lines = ["mos {", f"    num_cores = {cores}", '    idle = "spin"', "    max_concurrency = 20000",
             "    hugepages = true",
             '    netdev "d0" {',
             f'        device = "{device}"', f'        address = "{address}/24"']
    if device.startswith("net_af_packet"):  # else the kernel's IP looks at each packet as well
        lines.append('        mac = "02:00:00:00:00:04"')
    lines.append("    }")
    if monitor:
        plugin, args = monitor
        lines.append(f'    monitor "m" {{ plugin = "{BUILD}/{plugin}.so" args = "{args}" }}')
    with open(place.path(name), "w") as f:
        f.write("\n".join(lines + ["}", ""]))
    return place.path(name)


def memif(place, role):
    if role == "server" and os.path.exists(place.path("memif")):
        os.unlink(place.path("memif"))
    return f"net_memif0,role={role},id=1,socket={place.path('memif')},socket-abstract=no"


def serves_tcp(address, port):
    def probe():
        try:
            socket.create_connection((address, port), 1).close()
            return True
        except OSError:
            return False
    return probe


# ---- servers ---------------------------------------------------------------------------------

def epserver(place, link, what, port, monitor=None, cores=1):
    device = memif(place, "server") if link == "memif" else DEVICE[link]
    cpus = place.server_cpus(cores)
    argv = [f"{BUILD}/epserver", *what, "-P", str(port), "-N", str(cores), "-f",
            conf(place, "server.conf", device, ADDRESS[link], monitor, cores)]
    program = Program(place, argv, cpus, far=link == "veth")
    program.wait_until(lambda: program.said() != "")
    if link == "tap":
        place.command("ip addr replace 10.78.0.1/24 dev tap")
    return program


def nginx(place, port):
    with open(place.path("nginx.conf"), "w") as f:
        f.write(f"""daemon off;
user root;
worker_processes 1;
pid {place.dir}/nginx.pid;
error_log {place.dir}/nginx.err;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    client_body_temp_path {place.dir}/t1; proxy_temp_path {place.dir}/t2;
    fastcgi_temp_path {place.dir}/t3; uwsgi_temp_path {place.dir}/t4; scgi_temp_path {place.dir}/t5;
    server {{ listen {port} backlog=4096; root {place.dir}/www; }}
}}
""")
    os.chmod(place.dir, 0o755)
    program = Program(place, ["nginx", "-c", place.path("nginx.conf"), "-e", place.path("nginx.err")],
                      place.server_cpus(), far=True)
    program.wait_until(serves_tcp(ADDRESS["kernel"], port))
    return program


def peer(place, command, workload, link, port):
    device = memif(place, "server").split("socket=")[1].split(",")[0] if link == "memif" else "far"
    env = {"BENCH_WORKLOAD": workload, "BENCH_LINK": link, "BENCH_DEVICE": device,
           "BENCH_ADDRESS": ADDRESS[link], "BENCH_PORT": str(port), "BENCH_ROOT": place.path("www"),
           "BENCH_CPU": str(place.server_cpus()[0])}
    program = Program(place, ["sh", "-c", command], place.server_cpus(), far=link == "veth", env=env)
    is_there = (lambda: os.path.exists(device)) if link == "memif" else serves_tcp(ADDRESS[link], port)
    program.wait_until(is_there)
    return program


# ---- clients ---------------------------------------------------------------------------------

def number(pattern, text, what):
    found = re.search(pattern, text)
    if not found:
        raise Failed(f"{what} did not say what was expected: {text[-500:]}")
    return float(found.group(1))


def epclient(place, what, total, conns, timeout=120):
    """Everything is answered or it fails; requests per second, MB per second, latencies in us."""
    argv = [f"{BUILD}/epclient", *what, str(total), "-c", str(conns), "--json", "-f",
            conf(place, "client.conf", memif(place, "client"), "10.77.0.5")]
    with Program(place, argv, place.client_cpus) as program:
        said = json.loads(program.result(timeout))
    if said["done"] != total or said["errors"]["all"]:
        raise Failed(f"epclient: {said}")
    moved = max(said["bytes_received"], said["bytes_sent"])
    return {"rate": said["rate"], "MB/s": moved / said["seconds"] / 1e6,
            **{p: said["latency_us"][p] for p in ("p50", "p99", "p99.9")}}


SIZES = {"K": 1e3, "M": 1e6, "G": 1e9}


def wrk(place, url, conns, seconds, headers=()):
    argv = ["wrk", "-t1", f"-c{conns}", f"-d{seconds}s", *(f"-H{h}" for h in headers), url]
    check_file(place, url)
    with Program(place, argv, place.client_cpus) as program:
        said = program.result(seconds + 30)
    bad = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", said)
    if bad and re.search(r"[1-9]", bad.group(0).replace("2xx", "").replace("3xx", "")):
        raise Failed(f"wrk {url}: {bad.group(0)}")
    transfer = re.search(r"Transfer/sec: +([\d.]+)([KMG]?)B", said)
    if not transfer:
        raise Failed(f"wrk said no rate: {said}")
    return {"rate": number(r"Requests/sec: +([\d.]+)", said, "wrk"),
            "MB/s": float(transfer.group(1)) * SIZES.get(transfer.group(2), 1) / 1e6}


def check_file(place, url):
    """One answer, byte by byte, before the others are only counted."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        got = answer.read()
    with open(place.path("www", url.rsplit("/", 1)[1]), "rb") as f:
        if got != f.read():
            raise Failed(f"{url}: not the bytes of the file")


# ---- the raw device --------------------------------------------------------------------------

def bounce(place, seconds):
    """Frames per second through a memif between two that only send back what they receive."""
    memory = ["-m", str(2 * place.HUGEPAGES), *([] if place.has_hugepages else ["--no-huge"])]

    def testpmd(role, cpus, *more):
        main = place.client_cpus[-1]
        return Program(place, ["stdbuf", "-oL", "dpdk-testpmd", f"--lcores=0@{main},1@{cpus[0]}", *memory,
                               "--no-pci", "--no-telemetry", f"--file-prefix=bench-{role}",
                               f"--vdev={memif(place, role)}", "--", "--total-num-mbufs=16384",
                               "--forward-mode=io", "--auto-start", "--stats-period=1", *more], [*cpus, main])

    def next_count(program, after=0):
        """Its next report of more frames than that: when, and how many."""
        count = [after]

        def has_come():
            count[0] = int((re.findall(r"RX-packets: +(\d+) ", program.said()) or [0])[-1])
            return count[0] > after
        program.wait_until(has_come)
        return time.monotonic(), count[0]

    with testpmd("server", place.server_cpus()) as server:
        server.wait_until(lambda: os.path.exists(place.path("memif")))
        with testpmd("client", place.client_cpus, "--tx-first") as client:
            began, first = next_count(client)
            ended, last = began, first
            for _ in range(seconds):
                ended, last = next_count(client, last)
    return {"rate": (last - first) / (ended - began)}
