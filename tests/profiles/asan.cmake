# SPDX-License-Identifier: Apache-2.0
# Bad memory and undefined behaviour end the program, leaks fail the test.
include(${CMAKE_CURRENT_LIST_DIR}/dev.cmake)
set(CASEBOUND_SANITIZE address,undefined CACHE STRING "")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g" CACHE STRING "")
