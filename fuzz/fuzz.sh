#!/bin/sh
# fuzz.sh TARGET SECONDS: looks for bytes that make a reader fail in a way that none may, from where it stopped. What it
# has found to be worth keeping stays in target/fuzz/found, what fails beside it; the seeds are what honest writers write.
#
# cargo-fuzz wants a nightly compiler; the compiler's passes that libFuzzer needs are in every one.
set -eu
target=$1 seconds=$2
cd "$(dirname "$0")/.."
if [ -f "fuzz/targets/$target.rs" ]; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    pass=-Cllvm-args=-sanitizer-coverage
    passes="-Cpasses=sancov-module $pass-level=4 $pass-inline-8bit-counters $pass-pc-table $pass-trace-compares"
    RUSTFLAGS="--cfg fuzzing $passes" cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml \
        --target-dir target/fuzz --target "$host" --bin "$target"
    run="target/fuzz/$host/release/$target"
elif [ -f "fuzz/targets/$target.py" ] && [ "$target" != fuzzing ] && [ "$target" != things ]; then
    run=".venv/bin/python fuzz/targets/$target.py"
else
    echo "there is no target $target" >&2
    exit 2
fi
found=target/fuzz/found/$target made=target/fuzz/seeds/$target kept=fuzz/corpus/$target
mkdir -p "$found" "$made"
case $target in
    configuration) kept="tests/configs/valid tests/configs/invalid" ;;
    pipeline) kept=fuzz/seeds/pipeline ;;
    # Of some nothing is kept, as their seeds are signed with keys of their own each time.
    *) [ -d "$kept" ] || kept= ;;
esac
# shellcheck disable=SC2086 # one word a folder
exec $run "$found" "$made" $kept \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=20000 -artifact_prefix="target/fuzz/$target-"
