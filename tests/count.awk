# SPDX-License-Identifier: Apache-2.0
# Adds up the single tests in CTest's log.  Criterion ends its output with
# "[====] Synthesis: Tested: 5 | Passing: 4 | Failing: 1 | Crashing: 1", where
# what crashed has failed too; every other program ends with
# "4 passed, 1 failed".  What was left out is said by Criterion as
# "[SKIP] suite::name: reason" and by others as "skipped: reason".
#
# A program that failed without naming a failed test, or that counted nothing,
# counts as one failure.  Exits with 1 unless tests ran, all of them passed and
# `result`, CTest's own, is 0.

function finish() {
    if (program == "")
        return
    if (counted_failed == 0 &&
        (!well || (counted_passed == 0 && counted_skipped == 0))) {
        counted_failed = 1
        print "no failed test was named by: " program
    }
    passed += counted_passed
    failed += counted_failed
    program = ""
}

function number_after(word) {
    return substr($0, index($0, word) + length(word)) + 0
}

function skip(what) {
    counted_skipped++
    skipped = skipped "\n    " what
}

{ gsub(/\033\[[0-9;]*m/, "") }

/^[0-9]+\/[0-9]+ Testing: / {
    finish()
    program = $3
    well = counted_passed = counted_failed = counted_skipped = 0
}

/Synthesis: Tested: / {
    counted_passed += number_after("Passing: ")
    counted_failed += number_after("Failing: ")
}

/^[0-9]+ passed, [0-9]+ failed$/ {
    counted_passed += $1
    counted_failed += $3
}

/^\[SKIP\] / { skip(substr($0, 8)) }

/^skipped: / { skip(program ": " substr($0, 10)) }

/^Test Passed\.$/ { well = 1 }

END {
    finish()
    if (skipped != "")
        print "skipped:" skipped
    printf "%d passed, %d failed\n", passed, failed
    if (failed > 0 || passed == 0 || result != 0)
        exit 1
}
