#!/usr/bin/env bash
# Everything that docs/performance.md shows, into a folder: JSON, tables and plots.
#
#   benches/measure.sh [FOLDER]          some 25 minutes; as root, with corosync and libcpg4 installed
#   RUNS=1 ROUNDS=3 NODES=4 benches/measure.sh
#
# Leave the machine alone meanwhile, and believe ratios only: they are of rounds that were done side
# by side.
set -eu -o pipefail
cd "$(dirname "$0")/.."
folder=${1:-target/performance}
RUNS=${RUNS:-3} ROUNDS=${ROUNDS:-5} NODES=${NODES:-2,4,8}
sizes=(--size 64 --size 1024 --size 8192 --size 65536)
mkdir -p "$folder"
cargo build --release -p gab -p tools --bins

bench() { # name, arguments...
    local name=$1
    shift
    echo "=== $name: muster bench $*"
    target/release/muster bench --netns "$@" --json "$folder/$name.json" | tee "$folder/$name.txt"
}

for run in $(seq "$RUNS"); do
    bench "flood-$run" --mtu 9000 -n "$NODES" --peer corosync --rounds "$ROUNDS" --time 300ms \
        "${sizes[@]}" bcast-1 bcast-all
    bench "latency-$run" --mtu 9000 -n "$NODES" --peer corosync --rounds "$ROUNDS" --time 300ms \
        --size 64 latency
done
bench raw --mtu 9000 -n "$NODES" --rounds "$ROUNDS" --time 300ms "${sizes[@]}" raw
bench p2p --mtu 9000 -n 2 --rounds "$ROUNDS" --time 300ms "${sizes[@]}" p2p
bench changes --mtu 9000 -n "$NODES" --timers shortest --peer corosync --rounds "$ROUNDS" \
    detect join leave
bench idle -n 8 --timers default --peer corosync --rounds 3 idle
bench scale -n 8,16,32,64 --timers patient --rounds 3 --time 300ms scale
MUSTER_BUSY_POLL=50 bench busy --mtu 9000 -n "$NODES" --peer corosync --rounds "$ROUNDS" \
    --time 300ms --size 64 latency
cargo run --release -p benches --bin cost | tee "$folder/cost.txt"
for name in flood-1 latency-1 scale; do
    target/release/muster bench --plot "$folder/plots" --from "$folder/$name.json"
done
