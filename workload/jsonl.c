/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * jsonl.c - fields of one JSON line, checked, with messages that name what was found.
 */
#include "read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a message shows of a value that is not what it should be. */
static const char *found(const json_t *value, char *text, size_t size)
{
    static const char *const types[] = {"an object",  "a list", "text",  "a whole number",
                                        "a fraction", "true",   "false", "null"};
    if (value == NULL)
        return "nothing";
    if (json_is_integer(value))
        snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, size, "%g", json_real_value(value));
    else
        snprintf(text, size, "%s", types[json_typeof(value)]);
    return text;
}

int wl_json_line(struct wl_reading *reading, const char *text, size_t size_b, json_t **root)
{
    json_error_t why;
    *root = json_loadb(text, size_b, 0, &why);
    if (*root == NULL) {
        /* jansson has nothing to say, too, when memory runs out. */
        if (why.text[0] == '\0' || json_error_code(&why) == json_error_out_of_memory)
            return wl_read_no_memory(reading);
        return wl_read_fail(reading, -EINVAL, NULL, "expected one complete JSON object: %s",
                            why.text);
    }
    if (json_is_object(*root))
        return 0;
    json_decref(*root);
    *root = NULL;
    return wl_read_fail(reading, -EINVAL, NULL, "expected one complete JSON object");
}

int wl_json_count(struct wl_reading *reading, const json_t *root, const char *key, uint64_t least,
                  uint64_t most, uint64_t *value)
{
    const json_t *field = json_object_get(root, key);
    const json_int_t n = json_integer_value(field);
    if (!json_is_integer(field) || n < 0 || (uint64_t)n < least || (uint64_t)n > most) {
        char text[40];
        return wl_read_fail(reading, -EINVAL, key,
                            "expected a whole number from %llu to %llu, found %s",
                            (unsigned long long)least, (unsigned long long)most,
                            found(field, text, sizeof text));
    }
    *value = (uint64_t)n;
    return 0;
}

int wl_json_time(struct wl_reading *reading, const json_t *value, const char *key, kvt_ns whole,
                 kvt_ns *at_ns)
{
    const double most_s = 9.2e9; /* 291 years: times since 1970 fit as well */
    if (json_is_integer(value)) {
        const json_int_t n = json_integer_value(value);
        if (n >= 0 && (double)n * ((double)whole / 1e9) <= most_s) {
            *at_ns = (kvt_ns)n * whole;
            return 0;
        }
    } else if (json_is_real(value)) {
        const double s = json_real_value(value);
        if (s >= 0 && s <= most_s) {
            *at_ns = (kvt_ns)llround(s * 1e9);
            return 0;
        }
    }
    char text[40];
    return wl_read_fail(reading, -EINVAL, key,
                        "expected a time of at least 0 and at most 291 years, found %s",
                        found(value, text, sizeof text));
}

int wl_json_name(struct wl_reading *reading, const json_t *root, const char *key,
                 struct wl_names *names, uint32_t most, uint32_t *index)
{
    const json_t *field = json_object_get(root, key);
    if (field == NULL || json_is_null(field))
        return 0;
    char text[40];
    const bool number = json_is_integer(field);
    if (!number && !json_is_string(field))
        return wl_read_fail(reading, -EINVAL, key, "expected a name or a whole number, found %s",
                            found(field, text, sizeof text));
    names->numbers |= number;
    names->words |= !number;
    if (names->numbers && names->words)
        return wl_read_fail(reading, -EINVAL, key, "expected %s, as in the lines before",
                            number ? "a name" : "a number");
    if (number) {
        uint64_t value = 0;
        const int status = wl_json_count(reading, root, key, 0, most - 1, &value);
        *index = status == 0 ? (uint32_t)value : *index;
        return status;
    }
    const int status = wl_names_add(names, json_string_value(field), most, index);
    if (status == -ENOMEM)
        return wl_read_no_memory(reading);
    if (status != 0)
        return wl_read_fail(reading, status, key, "expected at most %u different names", most);
    return 0;
}

int wl_json_who(struct wl_reading *reading, const json_t *root, struct wl_record *record)
{
    const int status =
        wl_json_name(reading, root, "session", reading->sessions, KVT_NONE, &record->session);
    return status != 0 ? status
                       : wl_json_name(reading, root, "tenant", reading->tenants, WL_TENANTS_MOST,
                                      &record->tenant);
}
