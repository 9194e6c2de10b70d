/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASEBOUND_BASE_JSON_H
#define CASEBOUND_BASE_JSON_H

#include <casebound/json.h>

#endif
