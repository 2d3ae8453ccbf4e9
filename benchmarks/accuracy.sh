#!/bin/sh
# The README's figures for the embedded checkpoint: 500 images that it has never seen, through
# the whole command and its evaluation. Usage: sh benchmarks/accuracy.sh [folder of the commands]
set -eu
bin=${1:-$(dirname "$(command -v florence-annotate)")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/florence-annotate" demo "$work/scenes" --count 500 --seed 2000000
"$bin/florence-annotate" run "$work/scenes" --model shapes --images none --split train=1 \
    --batch-size 32 --quiet -o "$work/od"
echo "<OD>, by shape:"
"$bin/florence-annotate" eval "$work/od" --ground-truth "$work/scenes/ground-truth.json"

# the same ground truth, with every colour and shape a class of its own
pairs=$("$bin/python" - "$work/scenes/ground-truth.json" "$work/by-colour.json" <<'END'
import json, sys
from florence_annotate.shapes import COLOURS, SHAPES

names = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
truth = json.load(open(sys.argv[1]))
shape_of = {one["id"]: one["name"] for one in truth["categories"]}
for one in truth["annotations"]:
    one["category_id"] = names.index(f"{one['colour']} {shape_of[one['category_id']]}") + 1
truth["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
json.dump(truth, open(sys.argv[2], "w"))
print(",".join(names))
END
)
"$bin/florence-annotate" run "$work/scenes" --model shapes --images none --split train=1 \
    --classes "$pairs" --strategy open-vocabulary --batch-size 32 --quiet -o "$work/asked"
echo "<OPEN_VOCABULARY_DETECTION>, every image asked for every colour and shape:"
"$bin/florence-annotate" eval "$work/asked" --ground-truth "$work/by-colour.json"
