#!/usr/bin/env bash
# Brings embeddings to today's catalog, every night:
#
#     nightly.sh MODEL MANIFEST FOLDER [COMMAND...]
#
# FOLDER/features and FOLDER/embeddings are made on the first night and updated on the others. New and changed rows are
# encoded, the rest is kept. With a COMMAND, which is given the name of a file, a database follows:
#
#     nightly.sh model products.csv nights python changes_to_lancedb.py /srv/index apply
#
# What changed lies in FOLDER/changes, a file a night, until the command has ended with 0. It ends with
#
#     0   done, all verified
#     1   a step failed; embeddings that are there are whole, and those of the night before until `embed` has run
#     2   wrong usage
#     3   a store did not verify; call `huse doctor` on it
#     4   the command failed; the next night gives it this file again, before its own
#
# A line for cron, every night at 2:
#
#     0 2 * * *  /srv/huse/nightly.sh /srv/huse/model /srv/catalog/products.csv /srv/huse >> /var/log/huse.log 2>&1
set -u
if [ $# -lt 3 ]; then
  echo "usage: nightly.sh MODEL MANIFEST FOLDER [COMMAND...]" >&2
  exit 2
fi
model=$1 manifest=$2 features=$3/features embeddings=$3/embeddings changes=$3/changes
shift 3

say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*"; }

# Ends with 1 when more than 2 % of the rows failed or could not be read again: the catalog's disk may be away.
huse extract "$manifest" "$features" --max-failure-rate 0.02 || { say "extract failed"; exit 1; }
huse store verify "$features" || { say "$features is damaged"; exit 3; }
huse store failures "$features" # rows without image or text, for whoever mends the catalog

embed() { huse embed "$model" "$features" "$embeddings" "$@" || { say "embed failed"; exit 1; }; }
if [ $# -eq 0 ]; then embed; else embed --changes "$changes/$(date -u +%Y-%m-%d).parquet"; fi
huse store verify "$embeddings" || { say "$embeddings is damaged"; exit 3; }

if [ $# -gt 0 ]; then
  for file in "$changes"/*.parquet; do # in the order in which they were made
    "$@" "$file" || { say "$* $file failed"; exit 4; }
    rm "$file"
  done
fi
say "done"
