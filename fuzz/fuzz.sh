#!/bin/sh
# fuzz.sh TARGET SECONDS: looks for a text that makes a reader panic, hang or use much memory, from where it stopped.
#
# cargo-fuzz wants a nightly compiler; the compiler's passes that libFuzzer needs are in every one.
set -eu
target=$1 seconds=$2
cd "$(dirname "$0")/.."
case $target in
    configuration) seeds="tests/configs/valid tests/configs/invalid" ;;
    pipeline) seeds=fuzz/seeds ;;
    *) echo "the targets are: configuration, pipeline" >&2; exit 2 ;;
esac
host=$(rustc -vV | sed -n 's/^host: //p')
pass=-Cllvm-args=-sanitizer-coverage
passes="-Cpasses=sancov-module $pass-level=4 $pass-inline-8bit-counters $pass-pc-table $pass-trace-compares"
RUSTFLAGS="--cfg fuzzing $passes" cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml \
    --target-dir target/fuzz --target "$host" --bin "$target"
found=target/fuzz/found/$target
mkdir -p "$found"
# shellcheck disable=SC2086 # one word a folder
exec "target/fuzz/$host/release/$target" "$found" $seeds \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=6000 -artifact_prefix="target/fuzz/$target-"
