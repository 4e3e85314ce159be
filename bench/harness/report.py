"""Results: the table, JSON, and a plot per workload."""
import json
import os
import statistics
import subprocess

from . import machine

UNITS = {"rate": "/s", "MB/s": "MB/s", "p50": "us p50", "p99": "us p99", "p99.9": "us p99.9",
         "bytes each": "bytes each", "RSS each": "bytes of RSS each",
         "RSS when opened": "bytes of RSS each, just opened", "instructions": "instructions"}


class Result:
    """One variant of one group of a workload: a list of values, one per round, of each metric."""

    def __init__(self, workload, group="", variant="", skipped=None, x=None):
        self.workload, self.group, self.variant, self.skipped = workload, group, variant, skipped
        self.x = x  # of a workload that is a curve: where on it the group is, in percent of the peak
        self.values = {}

    def add(self, metrics):
        for name, value in metrics.items():
            self.values.setdefault(name, []).append(value)


def main_metric(r):
    return next(iter(r.values)) if r.values else None


def ratios(results):
    """Of each to the first of its group: the median of the rounds' ratios."""
    first = {}
    for r in results:
        metric = main_metric(r)
        base = first.setdefault(r.group, r)
        if metric and metric == main_metric(base):
            yield r, statistics.median(a / b for a, b in zip(r.values[metric], base.values[metric]))
        else:
            yield r, None


def lines(results):
    out, group = [], None
    for r, ratio in ratios(results):
        if (r.workload, r.group) != group:
            group = (r.workload, r.group)
            out.append(f"{r.workload}  {r.group}")
        if r.skipped:
            out.append(f"    {r.variant or 'all':20} not run: {r.skipped}")
            continue
        for i, (metric, values) in enumerate(r.values.items()):
            spread = f"{min(values):,.0f} to {max(values):,.0f}"
            out.append(f"    {'' if i else r.variant:20} {statistics.median(values):14,.0f} "
                       f"{UNITS[metric]:18} {spread:28}" + (f" {ratio:6.2f}" if ratio and not i else ""))
    return "\n".join(out)


def curve(workload, rows, out):
    """A line for each latency, over the load."""
    metrics = [m for m in rows[0].values if UNITS[m].startswith("us")]
    script = ["set terminal svg size 700,420 noenhanced", f'set output "{os.path.join(out, workload + ".svg")}"',
              f'set title "{workload}: latency, medians"', 'set xlabel "% of the peak"',
              'set ylabel "us"', "set logscale y", "set grid", "set xrange [0:100]", "set key left top",
              "plot " + ", ".join(f'"-" using 1:2 with linespoints lw 2 title "{m}"' for m in metrics)]
    for m in metrics:
        script += [f"{r.x} {statistics.median(r.values[m])}" for r in rows] + ["e"]
    return script


def plot(workload, results, out):
    rows = [r for r in results if r.values]
    script = curve(workload, rows, out) if rows[0].x is not None else bars(workload, rows, out)
    done = subprocess.run(["gnuplot"], input="\n".join(script), capture_output=True, text=True)
    if done.returncode:
        raise machine.Failed(f"gnuplot: {done.stderr}")


def bars(workload, rows, out):
    """A bar for each median, with the spread."""
    metric = main_metric(rows[0])
    rows = [r for r in rows if metric in r.values]
    labels = [f"{r.group}: {r.variant}" for r in rows]
    script = [f'set terminal svg size 1100,{30 * len(rows) + 110} noenhanced',
              f'set output "{os.path.join(out, workload + ".svg")}"',
              f'set title "{workload}: {metric}, median and spread"', "set style fill solid 0.6",
              "set xrange [0:*]", f"set yrange [{len(rows) - 0.4}:-0.6]", "set grid xtics", "unset key",
              f"set lmargin {max(map(len, labels)) + 2}", 'set format x "%.0s%c"',
              'plot "-" using 2:0:(0):2:($0-0.35):($0+0.35):ytic(1) with boxxyerror lc "#6699bb", '
              '"-" using 2:0:3:4 with xerrorbars pt 0 lc "black"']
    for _ in range(2):
        for label, r in zip(labels, rows):
            v = r.values[metric]
            script.append(f'"{label}" {statistics.median(v)} {min(v)} {max(v)}')
        script.append("e")
    return script


def write(results, out):
    os.makedirs(out, exist_ok=True)
    about = machine.describe()
    with open(os.path.join(out, "results.json"), "w") as f:
        json.dump({"machine": about, "results": [vars(r) for r in results]}, f, indent=1)
    with open(os.path.join(out, "table.txt"), "w") as f:
        f.write(f"{about}\nmedian, lowest to highest, ratio to the first of the group (median of pairs)\n\n")
        f.write(lines(results) + "\n")
    for workload in dict.fromkeys(r.workload for r in results if r.values):
        plot(workload, [r for r in results if r.workload == workload], out)
