#!/bin/sh
# Measure everything on a GPU in one command and less than eight minutes; write docs/performance-cuda.md.
#
#     sh benchmarks/gpu.sh
#
# DEVICE=cpu SMALL=--small sh benchmarks/gpu.sh checks the second part without a GPU and writes nothing.
set -e
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
if [ "${DEVICE:-cuda}" = cpu ]; then
    exec "$python" benchmarks/gpu.py --device cpu --seconds 60 $SMALL
fi
timeout 230 "$python" benchmarks/speed.py --device cuda --rounds 1
table=$(mktemp)
timeout 240 "$python" benchmarks/gpu.py --seconds 200 > "$table"
cat "$table" >> docs/performance-cuda.md
