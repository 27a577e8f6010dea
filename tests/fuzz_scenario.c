/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_scenario.c - any bytes as a scenario file, and as a --set: refused with one line, or accepted.
 *
 * The input is a scenario; what follows its first zero byte, if any, is an assignment. Required: no crash, no
 * leak, a message of one line exactly when something is refused, and a hash of whatever is accepted.
 */
#include "cli/scenario.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_one_line(int status, const char *error)
{
    require(status == 0 || (error[0] != '\0' && strchr(error, '\n') == NULL &&
                            strlen(error) < SCENARIO_ERROR_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t len = zero == NULL ? size : (size_t)(zero - data);

    struct scenario scenario;
    char error[SCENARIO_ERROR_SIZE] = "";
    int status = scenario_load_text(&scenario, "fuzz.yaml", (const char *)data, len, error);
    require_one_line(status, error);
    if (status != 0)
        return 0;

    if (zero != NULL) {
        char *assignment = strndup((const char *)zero + 1, size - len - 1);
        if (assignment != NULL)
            require_one_line(scenario_set(&scenario, assignment, error), error);
        free(assignment);
    }
    status = scenario_type(&scenario, error);
    require_one_line(status, error);
    char hex[65];
    if (status == 0)
        require(scenario_hash(&scenario, hex) == 0 && strlen(hex) == 64);
    scenario_release(&scenario);
    return 0;
}
