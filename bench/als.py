#!/usr/bin/env python3
"""Implicit ALS: iterations a second beside `implicit`, on the same pairs, in one run, two threads each.

Question: how long is one sweep (users, then items) with 64 factors and 3 conjugate gradient steps, on about a million pairs?
Corpus:   the ratings of MovieLens-1M taken as pairs (1,000,209), from the folder of the public data sets.
Command:  python3 bench/als.py --accrue target/release/accrue --data $ACCRUE_DATASETS
Needs:    pip install implicit==0.7.3 numpy scipy zstandard

A sweep's time is (time of 22 sweeps - time of 2) / 20, so that reading, starting and asking are no part of it; best of `--runs`.
Prints one JSON object; `ratio` above 1 means that accrue is faster.
"""
import argparse
import io
import json
import os
import subprocess
import tempfile
import time

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
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()

with open(os.path.join(arguments.data, "movielens-1m/ratings.tsv.zst"), "rb") as file:
    text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
users, items = np.loadtxt(io.StringIO(text), skiprows=1, usecols=(0, 1), dtype=np.int32, unpack=True)
pairs = csr_matrix((np.ones(len(users), np.float32), (users, items)))


def implicit_seconds(iterations):
    model = AlternatingLeastSquares(
        factors=arguments.factors, regularization=0.1, alpha=1, iterations=iterations, num_threads=arguments.threads, random_state=1
    )
    begun = time.perf_counter()
    model.fit(pairs, show_progress=False)
    return time.perf_counter() - begun


def accrue_seconds(folder, iterations):
    settings = {"factors": arguments.factors, "iterations": iterations, "steps": 3}
    command = [arguments.accrue, "evaluate", "--json", "--protocol", "user-items", "--model", "als"]
    command += ["--train", os.path.join(folder, "train.txt"), "--test", os.path.join(folder, "test.txt")]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    return json.loads(subprocess.check_output(command))["cost"]["train_s"]


with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "train.txt"), "w") as file:
        for user in np.unique(users):
            print(user, *pairs.indices[pairs.indptr[user] : pairs.indptr[user + 1]], file=file)
    with open(os.path.join(folder, "test.txt"), "w") as file:
        print(users[0], "new", file=file)

    def a_sweep(seconds):
        rounds = [(seconds(MANY) - seconds(FEW)) / (MANY - FEW) for _ in range(arguments.runs)]
        return min(rounds)

    peer = a_sweep(implicit_seconds)
    ours = a_sweep(lambda iterations: accrue_seconds(folder, iterations))

print(json.dumps({
    "pairs": int(pairs.nnz),
    "factors": arguments.factors,
    "threads": arguments.threads,
    "implicit": implicit.__version__,
    "implicit_s_a_sweep": round(peer, 4),
    "accrue_s_a_sweep": round(ours, 4),
    "ratio": round(peer / ours, 2),
}))
