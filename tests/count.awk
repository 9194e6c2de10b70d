# SPDX-License-Identifier: Apache-2.0
# Adds up the single tests in CTest's log.  Criterion ends its output with
# "[====] Synthesis: Tested: 5 | Passing: 4 | Failing: 1 | Crashing: 0"; every
# other program ends with "4 passed, 1 failed".  A program that failed without
# naming a failed test, or that counted nothing, counts as one failure.
# Exits with 1 unless all passed and `result`, CTest's own, is 0.

function finish() {
    if (program == "")
        return
    if (verdict == "skipped")
        skipped = skipped "\n    " program
    else if (counted_failed == 0 && (verdict != "passed" ||
                                     counted_passed == 0)) {
        counted_failed = 1
        print "no failed test was named by: " program
    }
    passed += counted_passed
    failed += counted_failed
    program = ""
}

function number_after(word,    rest) {
    rest = substr($0, index($0, word) + length(word))
    return rest + 0
}

{ gsub(/\033\[[0-9;]*m/, "") }

/^[0-9]+\/[0-9]+ Testing: / {
    finish()
    program = $3
    verdict = "failed"
    counted_passed = counted_failed = 0
}

/Synthesis: Tested: / {
    counted_passed += number_after("Passing: ")
    counted_failed += number_after("Failing: ") + number_after("Crashing: ")
}

/^[0-9]+ passed, [0-9]+ failed$/ {
    counted_passed += $1
    counted_failed += $3
}

/^Test Passed\.$/ { verdict = "passed" }
/^Test (Skipped|Not Run)/ || /^Skip return code/ { verdict = "skipped" }

END {
    finish()
    if (skipped != "")
        print "skipped, see above for the reason:" skipped
    printf "%d passed, %d failed\n", passed, failed
    if (failed > 0 || passed == 0 || result != 0)
        exit 1
}
