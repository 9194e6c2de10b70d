# SPDX-License-Identifier: Apache-2.0
# cmake -C tests/profiles/dev.cmake -B build -G Ninja
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CASEBOUND_WERROR ON CACHE BOOL "")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON CACHE BOOL "")
