# SPDX-License-Identifier: Apache-2.0
# One file of SQLite's test suite in a process of its own, or the list of files:
#
#     testfixture one.tcl SOURCE list PERMUTATION
#     testfixture one.tcl SOURCE run PERMUTATION FILE
#
# SQLite's scripts are used as they are.  Two of their own hooks are answered
# from here where the encrypting VFS stands below: `nonzero_reserved_bytes`, by
# which tests ask whether pages have reserved bytes, and `do_not_use_codec`, by
# which a test says that it cannot pass over encrypted files; it is printed.

set hooks {
    rename proc casebound_proc
    casebound_proc proc {name arguments body} {
        if {$name eq "nonzero_reserved_bytes"} {
            set body {return 1}
        } elseif {$name eq "do_not_use_codec"} {
            append body "\nputs {casebound: do_not_use_codec}"
        }
        uplevel 1 [list ::casebound_proc $name $arguments $body]
    }
}

set casebound_source [lindex $argv 0]
set casebound_verb [lindex $argv 1]
set casebound_permutation [lindex $argv 2]
set casebound_file [lindex $argv 3]

if {$::env(CASEBOUND_TEST_CIPHER) ne "none"} {
    # Each file is run in an interpreter of its own, made ready by this command.
    rename load_testfixture_extensions casebound_load
    set casebound_hooks $hooks
    proc load_testfixture_extensions {slave} {
        casebound_load $slave
        interp eval $slave $::casebound_hooks
    }
    eval $hooks
}

# With another name than its own, permutations.test only defines.
set argv0 $casebound_source/test/casebound.test
set argv {}
source $casebound_source/test/permutations.test

array set casebound_spec $testspec($casebound_permutation)
if {$casebound_verb eq "list"} {
    foreach file [lsort $casebound_spec(-files)] {
        if {[file tail $file] eq $file} {
            set file [file join $testdir $file]
        }
        puts [file normalize $file]
    }
} else {
    set casebound_spec(-files) [list $casebound_file]
    eval [list run_tests $casebound_permutation] [array get casebound_spec]
    foreach name [set_test_counter fail_list] {
        puts "casebound: failed [string map {{ } _} $name]"
    }
    # Only a file that came to its end is counted.
    puts "casebound: ran [set_test_counter count]"
    finish_test
}
