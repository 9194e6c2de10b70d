# SPDX-License-Identifier: Apache-2.0
# What is shipped: hardened, optimised across files, with symbols to debug.
# The objects keep their machine code beside the LTO form, so that whoever
# links libcasebound.a needs no LTO.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CASEBOUND_HARDENING ON CACHE BOOL "")
set(CMAKE_C_FLAGS "-flto=auto -ffat-lto-objects" CACHE STRING "")
