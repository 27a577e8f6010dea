/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk_index.c - which values the disk tier holds, who is changing one, and how many bytes are
 * taken.
 *
 * A hash table with chains, and all entries in one list, newest first, for walks. Everything is
 * behind one lock, held for a few memory accesses at a time (growing the table: for one pass
 * over it). What takes long, renaming and unlinking, happens between a claim and its end, in
 * which the entry is busy:
 *
 *      nothing --claim to write--> busy --publish--> present --claim to remove--> busy, not present
 *                                    |                 ^  |                             |
 *                                 unclaim              |  claim to write             forget, or
 *                                    v                 |  v                          unclaim: present
 *                                 nothing           busy, present
 *
 *   (X1) One claim per name at a time: the last publish tells which file is there.
 *   (X2) used_b = in_flight_b + sum of charge_b over entries with a file; reserve never lets it
 *        pass quota_b. The scan may (be_disk_index_add).
 *   (X3) An entry is freed when it is dead and no walker stands on it. New entries go in front of the list, so a
 *        walk ends and meets each entry at most once.
 */
#include "disk_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/mix.h"

enum { BUCKETS_FIRST = 256 };

uint64_t be_disk_hash(const char *name)
{
    uint64_t h =
        UINT64_C(0xcbf29ce484222325); /* FNV-1a, then mixed so that its top bits are good too */
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * UINT64_C(0x100000001b3);
    return kvt_mix64(h);
}

bool be_disk_name_valid(const char *name)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ:._-";
    const size_t n = strnlen(name, BE_DISK_NAME_MOST + 1);
    return n > 0 && n <= BE_DISK_NAME_MOST && name[0] != '.' && strspn(name, allowed) == n;
}

int be_disk_index_init(struct be_disk_index *ix, uint64_t quota_b)
{
    *ix = (struct be_disk_index){.n_buckets = BUCKETS_FIRST, .quota_b = quota_b};
    ix->buckets = calloc(ix->n_buckets, sizeof(struct be_disk_entry *));
    if (!ix->buckets)
        return -ENOMEM;
    pthread_mutex_init(&ix->lock, NULL);
    pthread_cond_init(&ix->idle, NULL);
    return 0;
}

void be_disk_index_release(struct be_disk_index *ix)
{
    while (ix->newest) {
        struct be_disk_entry *e = ix->newest;
        assert(!e->busy && e->pins == 0);
        ix->newest = e->older;
        free(e);
    }
    free(ix->buckets);
    pthread_cond_destroy(&ix->idle);
    pthread_mutex_destroy(&ix->lock);
}

/* ---- Entries, under the lock ------------------------------------------------------------------------ */

static struct be_disk_entry **bucket_of(struct be_disk_index *ix, uint64_t hash)
{
    return &ix->buckets[hash & (ix->n_buckets - 1)];
}

static struct be_disk_entry *find(struct be_disk_index *ix, const char *name, uint64_t hash)
{
    struct be_disk_entry *e = *bucket_of(ix, hash);
    while (e && (e->hash != hash || strcmp(e->name, name) != 0))
        e = e->chain;
    return e;
}

/* Twice the buckets. Without memory for them the chains get longer, no more. */
static void grow(struct be_disk_index *ix)
{
    struct be_disk_entry **old = ix->buckets;
    const size_t n_old = ix->n_buckets;
    struct be_disk_entry **buckets = calloc(2 * n_old, sizeof(struct be_disk_entry *));
    if (!buckets)
        return;
    ix->buckets = buckets;
    ix->n_buckets = 2 * n_old;
    for (size_t i = 0; i < n_old; i++)
        for (struct be_disk_entry *e = old[i], *next; e; e = next) {
            struct be_disk_entry **bucket = bucket_of(ix, e->hash);
            next = e->chain;
            e->chain = *bucket;
            *bucket = e;
        }
    free(old);
}

static struct be_disk_entry *insert(struct be_disk_index *ix, const char *name, uint64_t hash)
{
    const size_t name_b = strlen(name) + 1;
    struct be_disk_entry *e = malloc(sizeof(*e) + name_b);
    if (!e)
        return NULL;
    if (ix->entries >= ix->n_buckets)
        grow(ix);
    struct be_disk_entry **bucket = bucket_of(ix, hash);
    *e = (struct be_disk_entry){.chain = *bucket, .older = ix->newest, .hash = hash};
    memcpy(e->name, name, name_b);
    *bucket = e;
    if (ix->newest)
        ix->newest->newer = e;
    ix->newest = e;
    ix->entries++;
    return e;
}

/* Out of the list of all, and freed. */
static void bury(struct be_disk_index *ix, struct be_disk_entry *e)
{
    if (e->newer)
        e->newer->older = e->older;
    else
        ix->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    free(e);
}

/* Nobody finds it any more; its memory goes with the last walker. */
static void erase(struct be_disk_index *ix, struct be_disk_entry *e)
{
    struct be_disk_entry **link = bucket_of(ix, e->hash);
    while (*link != e)
        link = &(*link)->chain;
    *link = e->chain;
    ix->entries--;
    e->dead = true;
    e->present = false;
    e->busy = false;
    if (e->pins == 0)
        bury(ix, e);
}

static void drop_file(struct be_disk_index *ix, struct be_disk_entry *e)
{
    if (!e->has_file)
        return;
    assert(ix->used_b >= e->charge_b);
    ix->used_b -= e->charge_b;
    ix->files--;
    e->has_file = false;
}

static void set_file(struct be_disk_index *ix, struct be_disk_entry *e, uint64_t file_b,
                     uint64_t charge_b)
{
    drop_file(ix, e);
    e->file_b = file_b;
    e->charge_b = charge_b;
    e->generation = ++ix->generation;
    e->has_file = true;
    e->present = true;
    ix->files++;
}

/* ---- Bytes ------------------------------------------------------------------------------------------ */

int be_disk_reserve(struct be_disk_index *ix, uint64_t b, uint64_t *in_flight_b)
{
    int rc = -ENOSPC;
    pthread_mutex_lock(&ix->lock);
    if (ix->used_b <= ix->quota_b && b <= ix->quota_b - ix->used_b) {
        ix->used_b += b;
        ix->in_flight_b += b;
        rc = 0;
    }
    *in_flight_b = ix->in_flight_b;
    pthread_mutex_unlock(&ix->lock);
    return rc;
}

void be_disk_unreserve(struct be_disk_index *ix, uint64_t b)
{
    pthread_mutex_lock(&ix->lock);
    assert(ix->in_flight_b >= b);
    ix->used_b -= b;
    ix->in_flight_b -= b;
    pthread_mutex_unlock(&ix->lock);
}

/* ---- Names ------------------------------------------------------------------------------------------ */

bool be_disk_find(struct be_disk_index *ix, const char *name, uint64_t *generation)
{
    const uint64_t hash = be_disk_hash(name);
    pthread_mutex_lock(&ix->lock);
    const struct be_disk_entry *e = find(ix, name, hash);
    const bool there = e && e->present;
    if (there)
        *generation = e->generation;
    pthread_mutex_unlock(&ix->lock);
    return there;
}

struct be_disk_entry *be_disk_claim(struct be_disk_index *ix, const char *name,
                                    enum be_disk_claim claim)
{
    const uint64_t hash = be_disk_hash(name);
    struct be_disk_entry *e;
    pthread_mutex_lock(&ix->lock);
    /* Looked up anew each time: it may be freed while we wait. */
    while ((e = find(ix, name, hash)) && e->busy)
        pthread_cond_wait(&ix->idle, &ix->lock);
    if (!e && claim == BE_DISK_TO_WRITE)
        e = insert(ix, name, hash);
    if (e) {
        e->busy = true;
        if (claim == BE_DISK_TO_REMOVE)
            e->present = false;
    }
    pthread_mutex_unlock(&ix->lock);
    return e;
}

void be_disk_publish(struct be_disk_index *ix, struct be_disk_entry *e, uint64_t file_b,
                     uint64_t charge_b)
{
    pthread_mutex_lock(&ix->lock);
    assert(e->busy && ix->in_flight_b >= charge_b);
    ix->in_flight_b -= charge_b; /* and stays in used_b: it is the entry's now */
    set_file(ix, e, file_b, charge_b);
    e->busy = false;
    pthread_cond_broadcast(&ix->idle);
    pthread_mutex_unlock(&ix->lock);
}

void be_disk_forget(struct be_disk_index *ix, struct be_disk_entry *e)
{
    pthread_mutex_lock(&ix->lock);
    assert(e->busy);
    drop_file(ix, e);
    erase(ix, e);
    pthread_cond_broadcast(&ix->idle);
    pthread_mutex_unlock(&ix->lock);
}

void be_disk_unclaim(struct be_disk_index *ix, struct be_disk_entry *e)
{
    pthread_mutex_lock(&ix->lock);
    assert(e->busy);
    e->busy = false;
    e->present = e->has_file;
    if (!e->has_file)
        erase(ix, e);
    pthread_cond_broadcast(&ix->idle);
    pthread_mutex_unlock(&ix->lock);
}

int be_disk_index_add(struct be_disk_index *ix, const char *name, uint64_t file_b,
                      uint64_t charge_b)
{
    const uint64_t hash = be_disk_hash(name);
    int rc = -ENOMEM;
    pthread_mutex_lock(&ix->lock);
    struct be_disk_entry *e = insert(ix, name, hash);
    if (e) {
        ix->used_b += charge_b;
        set_file(ix, e, file_b, charge_b);
        rc = 0;
    }
    pthread_mutex_unlock(&ix->lock);
    return rc;
}

bool be_disk_vanished(struct be_disk_index *ix, const char *name, uint64_t generation)
{
    const uint64_t hash = be_disk_hash(name);
    pthread_mutex_lock(&ix->lock);
    struct be_disk_entry *e = find(ix, name, hash);
    const bool gone = e && e->present && !e->busy && e->generation == generation;
    if (gone) {
        drop_file(ix, e);
        erase(ix, e);
    }
    pthread_mutex_unlock(&ix->lock);
    return gone;
}

/* ---- Walks ------------------------------------------------------------------------------------------ */

void be_disk_index_each(struct be_disk_index *ix,
                        void (*fn)(void *self, const char *name, uint64_t b), void *self)
{
    pthread_mutex_lock(&ix->lock);
    for (struct be_disk_entry *e = ix->newest, *older; e; e = older) {
        e->pins++;
        if (e->present) {
            const uint64_t file_b = e->file_b;
            pthread_mutex_unlock(&ix->lock);
            fn(self, e->name, file_b);
            pthread_mutex_lock(&ix->lock);
        }
        older = e->older;
        if (--e->pins == 0 && e->dead)
            bury(ix, e);
    }
    pthread_mutex_unlock(&ix->lock);
}
