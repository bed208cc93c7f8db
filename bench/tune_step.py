#!/usr/bin/env python3
"""How long does torch take for a step of training a network of MiniLM's size on 32 pairs of 32 tokens?

    python3 bench/tune_step.py [THREADS]

The same step as `ENCODER=FOLDER cargo bench -p accrue-encode` measures: 64 texts forward, the contrast of 32 pairs,
backward, clipping, AdamW over all parameters. Weights are random, because the time does not depend on them. No dropout, and
no padding, as all texts have 32 tokens. Needs torch.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, INNER, HEADS, LAYERS, WORDS, POSITIONS = 384, 1536, 12, 6, 30522, 512


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.mixed = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm, self.last_norm = nn.LayerNorm(WIDTH, eps=1e-12), nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x):
        n, length, _ = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, WIDTH)
        x = self.norm(x + self.mixed(mixed))
        return self.last_norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])))
        for layer in self.layers:
            x = layer(x)
        return F.normalize(x.mean(1), dim=1)


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(1)
    model = Encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids = torch.randint(0, WORDS, (64, 32))
    times = []
    for _ in range(12):
        begin = time.perf_counter()
        vectors = model(ids)
        loss = F.cross_entropy(vectors[:32] @ vectors[32:].T / 0.05, torch.arange(32))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append((time.perf_counter() - begin) * 1e3)
    times = sorted(times[3:])
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads: {statistics.median(times):.0f} ms (fastest {times[0]:.0f})")


if __name__ == "__main__":
    main()
