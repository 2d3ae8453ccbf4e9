#!/bin/sh
# The README's figures for the embedded checkpoint: 500 images that it has never seen, through
# the whole command and pycocotools. Usage: sh benchmarks/accuracy.sh [folder of the commands]
set -eu
bin=${1:-$(dirname "$(command -v florence-annotate)")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pairs=$("$bin/python" -c "
from florence_annotate.shapes import COLOURS, SHAPES
print(','.join(f'{colour} {shape}' for colour in COLOURS for shape in SHAPES))")

"$bin/florence-annotate" demo "$work/scenes" --count 500 --seed 2000000
"$bin/florence-annotate" run "$work/scenes" --model shapes --images none --split train=1 \
    --batch-size 32 --quiet -o "$work/od"
echo "<OD>, by shape:"
"$bin/python" -m florence_annotate.evaluation.average_precision "$work/od" "$work/scenes/ground-truth.json"

"$bin/florence-annotate" run "$work/scenes" --model shapes --images none --split train=1 \
    --classes "$pairs" --strategy open-vocabulary --batch-size 32 --quiet -o "$work/asked"
echo "<OPEN_VOCABULARY_DETECTION>, every image asked for every colour and shape:"
"$bin/python" -m florence_annotate.evaluation.average_precision "$work/asked" "$work/scenes/ground-truth.json" \
    --by colour-shape
