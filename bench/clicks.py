#!/usr/bin/env python3
"""Click models on Frappe: files for `accrue evaluate --protocol ctr`, and one pass beside Vowpal Wabbit in one run.

Question: how well, and at how many rows a second, does one pass in order predict whether an app is used?
Corpus:   frappe-apps of the folder of the public data sets: 202,812 training rows, of which two in three are negatives that this
          script draws by the data's rule (an app that the user never used, in the same context), 57,722 of validation, 28,860 of
          the test, ten features each.
Command:  python3 bench/clicks.py --accrue target/release/accrue --data $ACCRUE_DATASETS --folder frappe [--rounds 3]
Needs:    pip install vowpalwabbit==9.11.9 zstandard; without it only the files are written

Both programs read a text file and learn it in one pass, Vowpal Wabbit with all pairs of its ten namespaces (`-q`), two to the power
22 weights and logistic loss. Runs alternate; rates are medians of rows a second, reading included. The areas under the curve are
those of the test rows after the pass, and prequential: each training row predicted before it is learned. One JSON object.
"""
import argparse
import io
import json
import math
import os
import random
import statistics
import subprocess
import time

LETTERS = "abcdefghij"


def rows(data, name):
    import zstandard

    with open(os.path.join(data, "frappe-apps", name), "rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        return [line.split() for line in text]


def labelled(data, name):
    return [(1 if row[0] == "1" else -1, row[1:]) for row in rows(data, name)]


def training(data, others, seed=1):
    """The positives with two negatives each, shuffled."""
    positives = rows(data, "nfm.train_positives.txt.zst")
    used = {(row[0], row[1]) for row in positives} | {(x[0], x[1]) for y, x in others if y > 0}
    draw = random.Random(seed)
    out = [(1, row) for row in positives]
    for row in positives:
        for _ in range(2):
            app = row[1]
            while (row[0], app) in used:
                app = str(draw.randrange(957, 5039))
            out.append((-1, [row[0], app] + row[2:]))
    draw.shuffle(out)
    return out


def write(path, lines):
    with open(path, "w") as file:
        file.writelines(line + "\n" for line in lines)


def area(labels, scores):
    order = sorted(range(len(labels)), key=scores.__getitem__)
    below = ordered = start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        positive = sum(labels[place] > 0 for place in order[start:end])
        negative = end - start - positive
        ordered += positive * (below + negative / 2)
        below += negative
        start = end
    return ordered / (below * (len(labels) - below))


def loss(labels, scores):
    return sum(math.log1p(math.exp(-label * score)) for label, score in zip(labels, scores)) / len(labels)


def wabbit(folder, labels, test_labels):
    import vowpalwabbit

    pairs = " ".join(f"-q {a}{b}" for n, a in enumerate(LETTERS) for b in LETTERS[n + 1 :])
    path = lambda name: os.path.join(folder, name)
    began = time.perf_counter()
    command = f"--data {path('train.vw')} -b 22 {pairs} --loss_function logistic -f {path('model')} -p {path('p')} --quiet"
    vowpalwabbit.Workspace(command).finish()
    seconds = time.perf_counter() - began
    scores = [float(line.split()[0]) for line in open(path("p"))]
    vowpalwabbit.Workspace(f"--data {path('test.vw')} -t -i {path('model')} -p {path('p')} --quiet").finish()
    tested = [float(line.split()[0]) for line in open(path("p"))]
    return {
        "rows_per_s": len(labels) / seconds,
        "auc": area(test_labels, tested),
        "logloss": loss(test_labels, tested),
        "prequential.auc": area(labels, scores),
        "prequential.logloss": loss(labels, scores),
    }


def accrue(binary, folder):
    command = [binary, "evaluate", "--protocol", "ctr", "--model", "pairs", "--set", "mode=online", "--json"]
    command += ["--train", os.path.join(folder, "train.txt"), "--test", os.path.join(folder, "test.txt")]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"rows_per_s": report["cost"]["events_per_s"], **report["metrics"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--accrue")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    valid, test = (labelled(arguments.data, f"nfm.{part}.txt.zst") for part in ("validation", "test"))
    train = training(arguments.data, valid + test)
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        path = os.path.join(arguments.folder, name)
        write(path + ".txt", (f"{label} {' '.join(features)}" for label, features in part))
        spaces = lambda features: " ".join(f"|{letter} {feature}" for letter, feature in zip(LETTERS, features))
        write(path + ".vw", (f"{label} {spaces(features)}" for label, features in part))
    if not arguments.accrue:
        return
    labels, test_labels = ([label for label, _ in part] for part in (train, test))
    runs = {"accrue": [], "vowpal_wabbit": []}
    for _ in range(arguments.rounds):
        runs["accrue"].append(accrue(arguments.accrue, arguments.folder))
        runs["vowpal_wabbit"].append(wabbit(arguments.folder, labels, test_labels))
    out = {name: {**of[-1], "rows_per_s": statistics.median(run["rows_per_s"] for run in of)} for name, of in runs.items()}
    out["ratio"] = out["accrue"]["rows_per_s"] / out["vowpal_wabbit"]["rows_per_s"]
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
