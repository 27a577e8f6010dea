/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis_address.c - reads and shows where a Redis node is.
 *
 *      redis://[[user]:password@]host[:port][/database]      user@host: the password is in the environment
 *      unix:/path[?db=database]
 *      host:port
 *
 * User and password are percent-encoded; a host may be an IPv6 address in brackets. No message
 * repeats any of the text, because a slip of the pen may have put the password anywhere in it.
 */
#include "redis.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379 };

static int refuse(char *error, size_t error_size, const char *what)
{
    snprintf(error, error_size, "Redis address: %s", what);
    return -EINVAL;
}

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, tolower((unsigned char)digit)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Percent-decodes text[n]. False: a bad escape, a NUL, or more than room - 1 bytes. */
static bool decode(const char *text, size_t n, char *to, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = n - i > 2 ? hex(text[i + 1]) : -1;
            int low = high >= 0 ? hex(text[i + 2]) : -1;
            if (low < 0)
                return false;
            c = 16 * high + low;
            i += 2;
        }
        if (c == 0 || used + 1 >= room)
            return false;
        to[used++] = (char)c;
    }
    to[used] = '\0';
    return true;
}

/* A decimal number from 0 to most that is all of text[n]. */
static bool read_number(const char *text, size_t n, uint32_t most, uint32_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        value = 10 * value + (uint64_t)(text[i] - '0');
        if (value > most)
            return false;
    }
    *number = (uint32_t)value;
    return n > 0;
}

/* NULL, or what was expected. Without a port: the usual one, unless it is required. */
static const char *read_host(struct be_redis_address *address, const char *text, size_t n,
                             bool needs_port)
{
    const char *host = text, *colon = memrchr(text, ':', n);
    size_t host_n;
    if (n > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', n);
        if (close == NULL)
            return "expected ] behind an IPv6 address";
        host++;
        host_n = (size_t)(close - host);
        colon = close + 1 < text + n ? close + 1 : NULL;
        if (colon != NULL && *colon != ':')
            return "expected : and a port behind ]";
    } else {
        host_n = colon ? (size_t)(colon - text) : n;
        if (memchr(host, ':', host_n) != NULL)
            return "an IPv6 address belongs in brackets: [::1]:6379";
    }
    if (host_n == 0)
        return "expected a host";
    if (host_n >= sizeof address->host)
        return "the host's name is too long";
    for (size_t i = 0; i < host_n; i++)
        if (!isgraph((unsigned char)host[i]) || strchr("/@?#[]%\\", host[i]) != NULL)
            return "a host's name has no such character";
    uint32_t port = DEFAULT_PORT;
    if (colon == NULL && needs_port)
        return "expected redis://host, unix:/path or host:port";
    if (colon != NULL &&
        (!read_number(colon + 1, (size_t)(text + n - colon - 1), UINT16_MAX, &port) || port == 0))
        return "expected a port from 1 to 65535";
    memcpy(address->host, host, host_n);
    address->host[host_n] = '\0';
    address->port = (uint16_t)port;
    return NULL;
}

static const char *read_user(struct be_redis_address *address, const char *text, size_t n)
{
    const char *colon = memchr(text, ':', n);
    size_t user_n = colon ? (size_t)(colon - text) : n;
    if (!decode(text, user_n, address->user, sizeof address->user))
        return "the user is too long or not percent-encoded";
    if (colon && !decode(colon + 1, n - user_n - 1, address->password, sizeof address->password))
        return "the password is too long or not percent-encoded";
    return NULL;
}

static const char *read_url(struct be_redis_address *address, const char *text)
{
    size_t n = strcspn(text, "/");
    const char *at = memrchr(text, '@', n);
    if (at != NULL) {
        const char *wrong = read_user(address, text, (size_t)(at - text));
        if (wrong)
            return wrong;
    }
    const char *host = at ? at + 1 : text;
    const char *wrong = read_host(address, host, (size_t)(text + n - host), false);
    if (wrong)
        return wrong;
    const char *database = text + n + (text[n] == '/');
    if (*database != '\0' &&
        !read_number(database, strlen(database), INT32_MAX, &address->database))
        return "expected the number of a database behind /";
    return NULL;
}

static const char *read_path(struct be_redis_address *address, const char *text)
{
    static const char query[] = "?db=";
    const char *mark = strchr(text, '?');
    size_t n = mark ? (size_t)(mark - text) : strlen(text);
    if (text[0] != '/')
        return "expected unix: and an absolute path";
    if (n >= sizeof address->path)
        return "the path of a unix socket has at most 107 bytes";
    if (mark && (strncmp(mark, query, strlen(query)) != 0 ||
                 !read_number(mark + strlen(query), strlen(mark + strlen(query)), INT32_MAX,
                              &address->database)))
        return "expected ?db= and the number of a database behind the path";
    memcpy(address->path, text, n);
    address->path[n] = '\0';
    return NULL;
}

/* False: it does not fit. */
static bool take_environment(const char *name, char *to, size_t room)
{
    const char *value = getenv(name);
    if (value == NULL || to[0] != '\0')
        return true;
    if (strlen(value) >= room)
        return false;
    strcpy(to, value);
    return true;
}

int be_redis_address_parse(struct be_redis_address *address, const char *text, char *error,
                           size_t error_size)
{
    static const char url[] = "redis://", secure[] = "rediss://", path[] = "unix:";
    const char *wrong;
    memset(address, 0, sizeof *address);
    if (strncmp(text, url, strlen(url)) == 0)
        wrong = read_url(address, text + strlen(url));
    else if (strncmp(text, secure, strlen(secure)) == 0)
        wrong = "TLS is not supported; a tunnel can do it (stunnel, ssh -L)";
    else if (strncmp(text, path, strlen(path)) == 0)
        wrong = read_path(address, text + strlen(path));
    else if (strstr(text, "://") != NULL || strchr(text, '@') != NULL || strchr(text, '/') != NULL)
        wrong = "expected redis://[user:password@]host[:port][/db], unix:/path or host:port";
    else
        wrong = read_host(address, text, strlen(text), true);
    if (!wrong && !take_environment("KVTWIN_REDIS_USER", address->user, sizeof address->user))
        wrong = "KVTWIN_REDIS_USER is too long";
    if (!wrong &&
        !take_environment("KVTWIN_REDIS_PASSWORD", address->password, sizeof address->password))
        wrong = "KVTWIN_REDIS_PASSWORD is too long";
    if (!wrong && address->user[0] != '\0' && address->password[0] == '\0')
        wrong = "a user without a password; it may be in KVTWIN_REDIS_PASSWORD";
    if (!wrong)
        return 0;
    memset(address, 0, sizeof *address);
    return refuse(error, error_size, wrong);
}

char *be_redis_address_show(const struct be_redis_address *address, char *text, size_t size)
{
    char database[16] = "";
    if (address->path[0] != '\0') {
        if (address->database != 0)
            snprintf(database, sizeof database, "?db=%u", address->database);
        snprintf(text, size, "unix:%s%s", address->path, database);
    } else {
        const bool six = strchr(address->host, ':') != NULL;
        if (address->database != 0)
            snprintf(database, sizeof database, "/%u", address->database);
        snprintf(text, size, "redis://%s%s%s:%u%s", six ? "[" : "", address->host, six ? "]" : "",
                 address->port, database);
    }
    return text;
}
