#!/usr/bin/env bash
# rustc with coverage for libFuzzer, for the gate and the targets only: what they stand on is built as everywhere else.
# These are the flags of cargo-fuzz; stable Rust takes them.
set -euo pipefail
rustc=$1
shift
case " $* " in
*" --crate-name wecom_gate "* | *" fuzz_targets/"*)
    exec "$rustc" "$@" --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$rustc" "$@" ;;
esac
