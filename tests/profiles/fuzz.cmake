# SPDX-License-Identifier: Apache-2.0
# libFuzzer's instrumentation in everything; the targets of tests/fuzz bring
# the engine itself.  Needs clang.
include(${CMAKE_CURRENT_LIST_DIR}/dev.cmake)
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CASEBOUND_SANITIZE fuzzer-no-link,address,undefined CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g" CACHE STRING "")
