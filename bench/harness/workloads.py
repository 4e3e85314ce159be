"""W1 to W9: what is run against what. Each yields groups of variants, which are run in turn."""
import json
import re
import statistics
import subprocess

from . import programs
from .machine import BUILD, Failed, Program, Skipped
from .report import Result

CLOSE = ("Connection: close",)
PLUGINS = ("firewall", "httplog", "ids", "connlog", "tcpstat")


def run(name, place, args):
    """The results of one workload."""
    results = []
    for group, variants, *x in ALL[name](place, args):
        results += in_turn(name, group, variants, args.rounds, *x)
    return results


def in_turn(workload, group, variants, rounds, x=None):
    """Each variant once per round, so that what disturbs the machine disturbs all."""
    results = {v: Result(workload, group, v, x=x) for v in variants}
    for _ in range(rounds):
        for variant, measure in variants.items():
            r = results[variant]
            try:
                if not r.skipped:
                    r.add(measure())
            except Skipped as reason:
                r.skipped = str(reason)
            except Failed as e:
                raise Failed(f"{workload} {group}, {variant}: {e}") from None
    return list(results.values())


def peers(args):
    for p in args.peer:
        yield p.split("=", 1)


# ---- RPC -------------------------------------------------------------------------------------

def rpc(place, total, conns=256, shape="1:1", monitor=None, server=None, more=()):
    serve = server or (lambda: programs.epserver(place, "memif", ["--rpc", shape], 7, monitor))
    with serve():
        return programs.epclient(place, [*more, "--rpc", shape, f"{programs.ADDRESS['memif']}:7"], total, conns)


def w1(place, args):
    total = 300000 if args.quick else 2000000
    variants = {"epserver": lambda: rpc(place, total)}
    for name, command in peers(args):
        variants[name] = lambda c=command: rpc(
            place, total, server=lambda: programs.peer(place, c, "w1", "memif", 7))
    variants["raw device"] = lambda: programs.bounce(place, 1 if args.quick else 3)
    yield "RPC 1:1, memif, 256 connections", variants


def w6(place, args):
    seconds = 1 if args.quick else 5
    peak = statistics.median(rpc(place, 300000)["rate"] for _ in range(3))
    for percent in (10, 50, 80):
        rate = int(peak * percent / 100)
        yield (f"RPC 1:1, memif, 256 connections, {percent} % of {peak:.0f}/s",
               {"epserver": lambda r=rate: latency_first(rpc(place, r * seconds, more=["-r", str(r)]))},
               percent)


def latency_first(metrics):
    return {name: metrics[name] for name in ("p99.9", "p99", "p50", "rate")}


# ---- HTTP ------------------------------------------------------------------------------------

def http_memif(place, name, total, conns, keep, monitor=None, server=None):
    serve = server or (lambda: programs.epserver(place, "memif", ["-p", place.path("www")], 80, monitor))
    url = f"http://{programs.ADDRESS['memif']}/{name}"
    with serve():
        return programs.epclient(place, ["-k", url] if keep else [url], total, conns)


def http_kernel(place, server, address, name, conns, seconds, keep, offloads):
    """wrk, over the kernel's TCP."""
    place.offloads(offloads)
    with server():
        return programs.wrk(place, f"http://{address}/{name}", conns, seconds, () if keep else CLOSE)


def kernel_variants(place, args, workload, name, conns, keep):
    """What the kernel's clients can ask: over the veth pair, and over a TAP of our own."""
    seconds = 1 if args.quick else 5

    def variant(server, link, offloads):
        return lambda: http_kernel(place, server, programs.ADDRESS[link], name, conns, seconds, keep, offloads)

    def epserver(link):
        return lambda: programs.epserver(place, link, ["-p", place.path("www")], 80)
    found = {"nginx, veth": variant(lambda: programs.nginx(place, 80), "kernel", True),
             "epserver, af_packet": variant(epserver("veth"), "veth", False),
             "epserver, tap": variant(epserver("tap"), "tap", True)}
    for peer, command in peers(args):
        found[peer] = variant(lambda c=command: programs.peer(place, c, workload, "veth", 80), "veth", False)
    return found


def http(place, args, workload, keep):
    per_memif = (100000 if args.quick else 1000000) if keep else (30000 if args.quick else 300000)
    for conns in (64,) if args.quick else (64, 1024):
        variants = {"epserver": lambda: http_memif(place, "64", per_memif, conns, keep)}
        for peer, command in peers(args):
            variants[peer] = lambda c=command: http_memif(
                place, "64", per_memif, conns, keep,
                server=lambda: programs.peer(place, c, workload, "memif", 80))
        yield f"64 bytes, memif, {conns} connections", variants
        yield f"64 bytes, wrk, {conns} connections", kernel_variants(place, args, workload, "64", conns, keep)


def w2(place, args):
    return http(place, args, "w2", True)


def w3(place, args):
    return http(place, args, "w3", False)


# ---- bulk ------------------------------------------------------------------------------------

def w4(place, args):
    total = 500 if args.quick else 5000
    for conns in (1, 64):
        yield f"1 MB files, memif, {conns} connections", {
            "epserver": lambda: http_memif(place, "1M", total, conns, True)}
        yield f"1 MB to the server, memif, {conns} connections", {
            "epserver": lambda: rpc(place, total, conns, "1048576:1")}
    for size, name in (("16 KB", "16K"), ("1 MB", "1M")):
        for conns in (64,) if args.quick else (1, 64):
            yield f"{size} files, wrk, {conns} connections", kernel_variants(place, args, "w4", name, conns, True)
    if not args.quick:
        yield "1 GB, memif, 1 connection", {
            "epserver, out": lambda: rpc(place, 4, 1, "1:1073741824"),
            "epserver, in": lambda: rpc(place, 4, 1, "1073741824:1")}


# ---- idle connections, monitors, cores, instructions -----------------------------------------

def idle(place, n):
    with Program(place, [f"{BUILD}/mem_rpc", "idle", "10000", str(n)], place.server_cpus()) as program:
        said = program.result(600)
    return {"bytes each": programs.number(r"idle_allocator_bytes_each_end ([\d.]+)", said, "mem_rpc"),
            "RSS each": programs.number(r"idle_rss_bytes_each_end ([\d.]+)", said, "mem_rpc"),
            "RSS when opened": programs.number(r"open_rss_bytes_each_end ([\d.]+)", said, "mem_rpc"),
            "rate": programs.number(r"opened_per_second ([\d.]+)", said, "mem_rpc")}


def w5(place, args):
    for n in (100000,) if args.quick else (100000, 1000000):
        yield f"{n} idle connections, in-memory link", {"both ends": lambda: idle(place, n)}


def monitor_of(place, name):
    """Rules of which the last one matches, patterns that are not there."""
    with open(place.path("rules"), "w") as f:
        f.writelines(f"DROP 192.168.{i}.0/24 any dport:80\n" for i in range(20))
        f.write("ACCEPT any any\n")
    with open(place.path("patterns"), "w") as f:
        f.write("reset svr traversal /\\.\\.\\/\\.\\.\\//\ndrop svr shellshock /\\(\\)\\s*\\{\\s*:;/\n"
                "log both password /passw(or)?d\\s*=/i\n"
                "log svr scanner /User-Agent: (nikto|sqlmap|nmap)/i\n")
    log = place.path(f"{name}.log")
    return {"none": None, "firewall": ("firewall", f"rules={place.path('rules')} file=/dev/null"),
            "httplog": ("httplog", f"file={log}"), "connlog": ("connlog", f"file={log}"),
            "tcpstat": ("tcpstat", f"report={log}"),
            "ids": ("ids", f"patterns={place.path('patterns')} file={log}")}.get(name, ("watch", name))


def w7(place, args):
    n_rpc, n_http = (300000, 100000) if args.quick else (2000000, 1000000)
    yield "RPC 1:1, memif, 256 connections", {
        name: lambda m=name: rpc(place, n_rpc, monitor=monitor_of(place, m))
        for name in ("none", "attached", "log", "peek", "connlog") + (() if args.quick else ("tcpstat",))}
    yield "64 bytes, memif, 64 connections kept", {
        name: lambda m=name: http_memif(place, "64", n_http, 64, True, monitor=monitor_of(place, m))
        for name in ("none", *(("connlog", "ids") if args.quick else PLUGINS))}


def in_memory(place, cores, transactions):
    with Program(place, [f"{BUILD}/mem_rpc", "cores", str(cores), str(transactions)],
                 place.cpus[:cores]) as program:
        said = program.result(600)
    return {"rate": programs.number(r"per_second ([\d.]+)", said, "mem_rpc")}


def w8(place, args):
    if len(place.cpus) < 2:
        raise Skipped("two CPUs are needed, there is one")
    n = 2000000 if args.quick else 10000000
    yield "RPC 1:1, in-memory link, 256 connections on each core", {
        "1 core": lambda: in_memory(place, 1, n), "2 cores": lambda: in_memory(place, 2, n)}
    if len(place.cpus) < 3:
        return
    seconds = 1 if args.quick else 5

    def cores(n):
        return lambda: http_kernel(
            place, lambda: programs.epserver(place, "veth", ["-p", place.path("www")], 80, cores=n),
            programs.ADDRESS["veth"], "64", 256, seconds, True, False)
    yield "64 bytes, veth, 256 connections kept", {"1 core": cores(1), "2 cores": cores(2)}


def w9(place, args):
    runs = ["--short", "rpc"] if args.quick else []
    done = subprocess.run(["bench/w9", *runs], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"bench/w9: {(done.stdout + done.stderr)[-1000:]}")
    found = json.loads(re.search(r"^\{.*\}$", done.stdout, re.M).group(0))["instructions"]
    for run, monitors in found.items():
        yield f"instructions per {run}", {m: lambda n=n: {"instructions": n} for m, n in monitors.items()}


ALL = {"w1": w1, "w2": w2, "w3": w3, "w4": w4, "w5": w5, "w6": w6, "w7": w7, "w8": w8, "w9": w9}
