# SPDX-License-Identifier: Apache-2.0
# Which lines the tests run; see tests/coverage.sh.
include(${CMAKE_CURRENT_LIST_DIR}/dev.cmake)
set(CASEBOUND_COVERAGE ON CACHE BOOL "")
