"""One training step of a SASRec-class Transformer: torch and Accrue, in one run on the same machine.

Question: how do the two compare at batch 128, length 50, width 64, 2 blocks, 1 head, 256 inside, dropout .2, Adam?
Protocol: each of the 128 x 50 places holds an item drawn uniformly with a fixed seed. `bce`: one sampled item per place.
`full`: cross-entropy over all items, last place only. `bce 1M`: a table of 1,000,000 rows, SparseAdam for it in torch.
The figure is the median wall time of a step after a warm-up, 2 threads. Runs alternate, so that a change of the
machine's speed affects both. Prints one JSON object per line, with the ratios at the end (below 1: Accrue is faster).

    python3 -m venv venv && venv/bin/pip install torch==2.9.1 numpy
    venv/bin/python bench/sasrec_step.py [--threads 2] [--rounds 3] [--binary PATH]

Without --binary the bench of the crate `accrue-model` is built and run through cargo.
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, LENGTH, WIDTH, BLOCKS, HIDDEN, DROP = 128, 50, 64, 2, 256, 0.2


class SasRec(nn.Module):
    def __init__(self, items, sparse):
        super().__init__()
        self.item = nn.Embedding(items, WIDTH, sparse=sparse)
        self.place = nn.Embedding(LENGTH, WIDTH)
        nn.init.normal_(self.item.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)
        layers = (
            nn.TransformerEncoderLayer(WIDTH, 1, HIDDEN, DROP, "gelu", batch_first=True, norm_first=True)
            for _ in range(BLOCKS)
        )
        self.blocks = nn.ModuleList(layers)
        self.norm, self.drop = nn.LayerNorm(WIDTH), nn.Dropout(DROP)
        self.register_buffer("mask", torch.triu(torch.full((LENGTH, LENGTH), float("-inf")), 1))

    def forward(self, x):
        h = self.drop(self.item(x) + self.place.weight)
        for block in self.blocks:
            h = block(h, src_mask=self.mask, is_causal=True)
        return self.norm(h)


def torch_step(kind, items, steps):
    torch.manual_seed(1)
    sparse = items > 100_000
    model = SasRec(items, sparse)
    table = [model.item.weight]
    dense = [p for p in model.parameters() if p is not model.item.weight]
    if sparse:
        optimizers = [torch.optim.Adam(dense, 1e-3), torch.optim.SparseAdam(table, 1e-3)]
    else:
        optimizers = [torch.optim.Adam(dense + table, 1e-3)]
    batches = torch.randint(0, items, (8, BATCH, LENGTH + 1))
    times = []
    for step in range(steps + 3):
        begin = time.perf_counter()
        batch = batches[step % 8]
        states, target = model(batch[:, :-1]), batch[:, 1:]
        if kind == "bce":
            other = torch.randint(0, items, target.shape)
            ours, theirs = (states * model.item(target)).sum(-1), (states * model.item(other)).sum(-1)
            loss = (F.softplus(-ours) + F.softplus(theirs)).mean()
        else:
            loss = F.cross_entropy(states[:, -1] @ model.item.weight.T, target[:, -1])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        float(loss.detach())
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[3:])


def accrue_steps(binary, threads):
    command = [binary] if binary else ["cargo", "bench", "--quiet", "-p", "accrue-model", "--bench", "training", "--"]
    out = subprocess.run([*command, "--bench", "--threads", str(threads)], check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
    found = {}
    for line in lines:
        if "ms" in line:
            found.setdefault((line["name"], line["items"]), []).append(line["ms"])
    print(json.dumps(lines[0]), flush=True)
    return {key: statistics.median(times) for key, times in found.items()}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=30)
    arguments.add_argument("--binary")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    ratios = {}
    for _ in range(given.rounds):
        ours = accrue_steps(given.binary, given.threads)
        small, large = ours["bce", 12_000], ours["bce", 1_000_000]
        last = ours["full softmax, last place", 12_000]
        theirs = {
            "bce": torch_step("bce", 12_000, given.steps),
            "full": torch_step("full", 12_000, given.steps),
            "bce 1M": torch_step("bce", 1_000_000, given.steps),
        }
        print(json.dumps({"torch_ms": theirs, "accrue_ms": {"bce": small, "full": last, "bce 1M": large}}), flush=True)
        round_ratios = {
            "bce: accrue / torch": small / theirs["bce"],
            "full, last place: accrue / torch": last / theirs["full"],
            "bce 1M: accrue / torch": large / theirs["bce 1M"],
            "accrue: 1M rows / 12k rows": large / small,
            "accrue: full, last place / bce": last / small,
        }
        for name, ratio in round_ratios.items():
            ratios.setdefault(name, []).append(ratio)
    print(json.dumps({name: round(statistics.median(found), 3) for name, found in ratios.items()}))


if __name__ == "__main__":
    main()
