#!/usr/bin/env bash
# Features of a large catalog by an array of jobs, each of which fills a part of one store on the shared disk:
#
#     sbatch slurm.sh MANIFEST STORE
#     sbatch --array=3,5 slurm.sh MANIFEST STORE 8     # parts 3 and 5 of 8 again, as named by huse store verify
#
# A task that was killed goes on where it stopped; when all have run, `huse store verify STORE --parts 8` tells whether
# the store is whole, and else which parts to run again. Choose the array by the GPUs, and more shards than tasks.
#SBATCH --job-name=huse
#SBATCH --array=1-8
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=huse-%A-%a.log
set -eu
if [ $# -lt 2 ]; then
  echo "usage: sbatch slurm.sh MANIFEST STORE [PARTS]" >&2
  exit 2
fi
# auto is this task's part of the array; with a number of parts it is the part of the task's own number
part=auto${3:+/$3}
huse extract "$1" "$2" --part "$part" --workers "$((2 * ${SLURM_CPUS_PER_TASK:-4}))"
