#!/bin/sh
# Stands before rustc: our own crates, and those that read files for us, tell libFuzzer which code they reach. `sancov` is
# a pass of LLVM, so the stable compiler has it.
# Programs that run during the build are left out: they have no libFuzzer to tell it to.
case "$CARGO_PKG_NAME $*" in
  canh-fuzz*) ;;
  *" --crate-type bin"*|*" --crate-type proc-macro"*) ;;
  canh-*|evtx\ *|boreal*|rsigma-parser\ *|lzma-rust2\ *|csv-core\ *|tls-parser\ *|httparse\ *)
    set -- "$@" -C passes=sancov-module \
      -C llvm-args=-sanitizer-coverage-level=4 \
      -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
      -C llvm-args=-sanitizer-coverage-pc-table \
      -C llvm-args=-sanitizer-coverage-trace-compares \
      -C codegen-units=1 ;;
esac
exec "$@"
