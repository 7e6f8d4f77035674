#!/usr/bin/env bash
# Every stage of an installed huse on a few emoji, in a folder of its own:
#
#     scripts/smoke.sh BIN
#
# BIN is the folder of its commands.
set -euo pipefail
unset PYTHONPATH
bin=$(cd "$1" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$bin/huse" --help >/dev/null
"$bin/huse" encoders >/dev/null
"$bin/python" -c "from pathlib import Path; from huse.demo.emoji import unpack_emoji; unpack_emoji(Path('.'))"
grep -E '^key|animal marine|food fruit|symbols/arrow' emoji.csv >few.csv
"$bin/huse" extract few.csv features --text-encoder tfidf:64
"$bin/huse" store verify features
"$bin/huse" fit features model --epochs 5
"$bin/huse" evaluate model features
"$bin/huse" embed model features embeddings
"$bin/huse" search model embeddings --text fish -k 5 | tee hits.txt
grep -q 'animal marine' hits.txt
"$bin/huse" plot embeddings map.png
test -s map.png
