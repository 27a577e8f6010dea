/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_disk.c - the disk tier: pieces are files, read and written by workers.
 *
 * Each engine has a folder of its own, as each has a disk of its own in the simulated world. A
 * probe asks the index in memory and waits for nothing. Files are removed by a worker; until it
 * is done no store of the same engine begins, so that a block which comes back at once does not
 * lose its new file to the old one's removal.
 */
#include "world_impl.h"

#include <errno.h>
#include <stdlib.h>

static struct be_disk *disk_of(const struct task *t)
{
    return t->world->engines[t->op->engine].disk;
}

void be_disk_start(struct task *t)
{
    if (t->op->kind == OP_LOAD)
        be_task_ingest(t);
    else
        be_task_produce(t);
}

bool be_disk_fetch(struct task *t)
{
    const struct be_piece piece = be_task_piece(t);
    char name[BE_NAME_B];
    be_piece_name(&piece, NULL, name);
    const int rc =
        be_disk_read(disk_of(t), name, t->value, t->world->lanes[KVT_DISK].value_room, &t->value_b);
    t->wire_ns = be_clock(t->world);
    if (rc == 0)
        return true;
    t->status = rc == -ENOENT ? KVT_MISSING : rc == -EMSGSIZE ? KVT_CORRUPT : KVT_DOWN;
    return false;
}

void be_disk_keep(struct task *t)
{
    const struct be_piece piece = be_task_piece(t);
    char name[BE_NAME_B];
    be_piece_name(&piece, NULL, name);
    const int rc = be_disk_write(disk_of(t), name, t->value, t->value_b);
    t->wire_ns = be_clock(t->world);
    if (rc != 0)
        t->status = rc == -ENOSPC || rc == -ENOMEM ? KVT_BUSY : KVT_DOWN;
}

void be_disk_probe(struct op *op)
{
    struct be_world *w = op->world;
    const struct be_format *format = &w->lanes[KVT_DISK].format;
    char name[BE_NAME_B];
    for (uint32_t i = 0; i < op->n_blocks && op->first_bad == op->n_blocks; i++)
        for (uint32_t p = 0; p < be_pieces(format); p++) {
            const struct be_piece piece =
                be_piece_at(format, op->blocks[i].key, op->blocks[i].tokens, p);
            be_piece_name(&piece, NULL, name);
            if (!be_disk_has(w->engines[op->engine].disk, name))
                be_op_bad(op, i, KVT_MISSING);
        }
    be_op_check(op);
}

static struct op *op_of(struct be_chore *c)
{
    return (struct op *)(void *)((char *)c - offsetof(struct op, chore));
}

static void remove_files(struct be_chore *c)
{
    const struct op *op = op_of(c);
    const struct be_format *format = &op->world->lanes[KVT_DISK].format;
    char name[BE_NAME_B];
    for (uint32_t i = 0; i < op->n_blocks; i++)
        for (uint32_t p = 0; p < be_pieces(format); p++) {
            const struct be_piece piece =
                be_piece_at(format, op->blocks[i].key, op->blocks[i].tokens, p);
            be_piece_name(&piece, NULL, name);
            be_disk_remove(op->world->engines[op->engine].disk, name); /* gone is gone */
        }
}

static void after_remove(struct be_chore *c)
{
    struct op *op = op_of(c);
    struct be_world *w = op->world;
    const uint32_t engine = op->engine;
    op->under_way--;
    be_op_check(op);
    if (--w->engines[engine].drops_under_way[KVT_DISK] == 0)
        be_lane_pump(w, KVT_DISK);
}

void be_disk_drop(struct op *op)
{
    struct be_world *w = op->world;
    op->under_way++;
    w->engines[op->engine].drops_under_way[KVT_DISK]++;
    be_workers_ask(&w->workers, &op->chore, BE_URGENT_STORE, remove_files, after_remove);
}
