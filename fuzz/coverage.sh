#!/usr/bin/env bash
# rustc with libFuzzer coverage, for the gate and the targets only: dependencies are built as everywhere else. The flags are
# cargo-fuzz's; stable Rust accepts them.
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
