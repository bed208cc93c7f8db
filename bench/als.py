#!/usr/bin/env python3
"""Implicit ALS compared with `implicit`: iterations per second and seconds to equal loss, on the same pairs, in one run, two threads each.

Question: how long does one sweep (users, then items) take with 64 factors and 3 conjugate gradient steps, on about a million pairs, and
          how long does it take to bring the same objective to the same value?
Corpus:   the ratings of MovieLens-1M taken as pairs (1,000,209), from the folder of the public data sets.
Command:  python3 bench/als.py --accrue target/release/accrue --data $ACCRUE_DATASETS
Needs:    pip install implicit==0.7.3 numpy scipy zstandard

The objective is that of `accrue` with `frequency=0`, divided by the number of pairs:

    F(X, Y) = Σ_pairs (1 - x·y)² + a Σ_all (x·y)² + l2 (|X|² + |Y|²)

`implicit` with confidence c = 1 + 1/a (its `alpha`) minimises Σ_pairs c (1 - x·y)² + Σ_others (x·y)² + r (|X|² + |Y|²), which is
Σ_pairs (t - x·y)² / a + Σ_all (x·y)² + r (|X|² + |Y|²) up to a constant, with t = 1 + a: the same least squares with the target t instead of
1. With X = √t X', Y = √t Y' it is t²/a · F(X', Y') where l2 = a r / t. So `implicit` gets r = l2 t / a, and its factors are divided by √t
before F is computed. Conjugate gradients commute with that scaling, so both programs minimise the same function.

`implicit` initialises its rows with positive numbers, so that all of them point in similar directions, and its loss decreases slowly from there.
It is therefore also run from normally distributed rows, as accrue is (`same_start`). Then the two losses stay within a half to
one percent of each other, and the times to equal loss compare the same amount of work.

The time of a sweep of accrue is (time of 22 sweeps - time of 2) / 20, so that reading, starting and evaluating are excluded. That of `implicit`
is what it reports to its callback, the mean without the first two. Runs alternate; each figure is the median over `--runs`. Losses are computed
outside of the measured times. Prints one JSON object; ratios above 1 mean that accrue is faster.
"""
import argparse
import io
import json
import os
import statistics
import subprocess
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import implicit
import numpy as np
import zstandard
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

FEW, MANY = 2, 22

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--accrue", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--factors", type=int, default=64)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--unobserved", type=float, default=0.1)
parser.add_argument("--l2", type=float, default=0.5)
parser.add_argument("--runs", type=int, default=5)
arguments = parser.parse_args()
TARGET = 1 + arguments.unobserved

with open(os.path.join(arguments.data, "movielens-1m/ratings.tsv.zst"), "rb") as file:
    text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
users, items = np.loadtxt(io.StringIO(text), skiprows=1, usecols=(0, 1), dtype=np.int32, unpack=True)
pairs = csr_matrix((np.ones(len(users), np.float32), (users, items)))
pair_users, pair_items = pairs.nonzero()


def loss(x, y):
    """F, worked out in double precision from the two tables of factors."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    of_pairs = np.square(1 - np.einsum("pd,pd->p", x[pair_users], y[pair_items])).sum()
    of_all = arguments.unobserved * np.sum((x.T @ x) * (y.T @ y))
    return float(of_pairs + of_all + arguments.l2 * (np.sum(x * x) + np.sum(y * y))) / pairs.nnz


def run_implicit(with_loss, same_start):
    """(seconds a sweep, losses)"""
    model = AlternatingLeastSquares(
        factors=arguments.factors,
        alpha=1 + 1 / arguments.unobserved,
        regularization=arguments.l2 * TARGET / arguments.unobserved,
        iterations=MANY,
        num_threads=arguments.threads,
        random_state=1,
    )
    if same_start:
        draws, deviation = np.random.default_rng(1), 0.1 * (TARGET / arguments.factors) ** 0.5
        model.user_factors, model.item_factors = (
            draws.normal(0, deviation, (n, arguments.factors)).astype(np.float32) for n in pairs.shape
        )
    seconds, losses = [], []

    def hear(_iteration, elapsed, _loss):
        seconds.append(elapsed)
        if with_loss:
            losses.append(loss(model.user_factors / TARGET**0.5, model.item_factors / TARGET**0.5))

    model.fit(pairs, show_progress=False, callback=hear)
    return statistics.mean(seconds[FEW:]), losses


def run_accrue(folder, iterations, with_loss):
    settings = {"factors": arguments.factors, "iterations": iterations, "steps": 3, "frequency": 0, "l2": arguments.l2}
    settings |= {"unobserved": arguments.unobserved, "watch_loss": str(with_loss).lower()}
    command = [arguments.accrue, "evaluate", "--json", "--protocol", "user-items", "--model", "als"]
    command += ["--train", os.path.join(folder, "train.txt"), "--test", os.path.join(folder, "test.txt")]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    report = json.loads(subprocess.check_output(command))
    return report["cost"]["train_s"], report["curve"]


def sweeps_to(losses, goal):
    """Sweeps until the loss is no higher than the goal, with the part of the last one found on the line between two losses."""
    for number, (before, after) in enumerate(zip(losses, losses[1:]), start=1):
        if losses[0] <= goal:
            return 1.0
        if after <= goal:
            return number + (before - goal) / (before - after)
    return None


with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "train.txt"), "w") as file:
        for user in np.unique(users):
            print(user, *pairs.indices[pairs.indptr[user] : pairs.indptr[user + 1]], file=file)
    with open(os.path.join(folder, "test.txt"), "w") as file:
        print(users[0], "new", file=file)

    peers, ours = [], []
    for _ in range(arguments.runs):
        peers.append(run_implicit(False, True)[0])
        ours.append((run_accrue(folder, MANY, False)[0] - run_accrue(folder, FEW, False)[0]) / (MANY - FEW))
    our_losses = run_accrue(folder, MANY, True)[1]
    peer_losses = {"own_start": run_implicit(True, False)[1], "same_start": run_implicit(True, True)[1]}

peer, own = statistics.median(peers), statistics.median(ours)
to_equal_loss = {start: [] for start in peer_losses}
for start, losses in peer_losses.items():
    # The loss that both have reached at the end, and slightly more.
    final = max(losses[-1], our_losses[-1])
    for above in (0.05, 0.02, 0.01, 0.005):
        goal = (1 + above) * final
        peer_sweeps, our_sweeps = sweeps_to(losses, goal), sweeps_to(our_losses, goal)
        to_equal_loss[start].append({
            "loss": round(goal, 5),
            "implicit_sweeps": round(peer_sweeps, 2),
            "accrue_sweeps": round(our_sweeps, 2),
            "implicit_s": round(peer_sweeps * peer, 3),
            "accrue_s": round(our_sweeps * own, 3),
            "ratio": round(peer_sweeps * peer / (our_sweeps * own), 2),
        })

print(json.dumps({
    "pairs": int(pairs.nnz),
    "factors": arguments.factors,
    "threads": arguments.threads,
    "unobserved": arguments.unobserved,
    "l2": arguments.l2,
    "implicit": implicit.__version__,
    "implicit_iterations_a_s": round(1 / peer, 2),
    "accrue_iterations_a_s": round(1 / own, 2),
    "ratio": round(peer / own, 2),
    "ratio_of_each_run": [round(peer / own, 2) for peer, own in zip(peers, ours)],
    "implicit_losses": {start: [round(value, 5) for value in losses] for start, losses in peer_losses.items()},
    "accrue_losses": [round(value, 5) for value in our_losses],
    "to_equal_loss": to_equal_loss,
}))
