/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_pipe.h - what the two halves of measuring whole loads and stores share: measure_pipe.c
 * moves pieces, measure_grid.c says how many, of which size, and where to. Nobody else includes
 * it.
 */
#ifndef BE_MEASURE_PIPE_H
#define BE_MEASURE_PIPE_H

#include "measure.h"
#include "measure_client.h"
#include "scratch.h"
#include "value.h"
#include "workers.h"

enum {
    PIECES_MOST = 32,
    SIZES = 3,
    COUNTS = 6,
    PARTS_MOST = 3,
    KEPT = 512,
    LAPS = 8,
    COMMANDS = 64
};

struct piece {
    struct pipe *pipe;
    enum be_path path;
    uint32_t number;
    struct be_piece piece;
    struct k_part part;
    char name[BE_NAME_B];
    void *value, *raw, *scratch, *slab; /* slab: the host tier's, of this lap */
    char *slabs;                        /* of all laps */
    size_t value_b;
    const void *payload;
    kvt_ns medium_ns, decode_ns, copy_ns;
    int rc;
    struct be_chore chore;
};

/* A transfer of one tier. */
struct part {
    enum be_path path;
    struct piece piece[PIECES_MOST];
    double spans[4][KEPT]; /* medium, decode, copy and whole of each repetition */
};

struct pipe {
    const struct be_measure_config *config;
    struct be_client client;
    struct be_workers workers; /* self: the pipe */
    struct be_device device;
    struct be_disk *disk;
    struct be_scratch scratch; /* where its files are */
    struct be_format format;
    struct part part[PARTS_MOST]; /* that are begun together */
    uint32_t n_parts;
    uint32_t *pages;
    uint32_t pages_per_piece;
    size_t value_room, raw_b;
    /* of the point under way */
    uint32_t n, nodes, taken;
    uint32_t lap;            /* which of LAPS sets of pieces is next */
    uint32_t on_wire, asked; /* GETs without a reply, and all so far */
    uint64_t fresh;          /* values stored under keys of their own in this point */
    bool keep;               /* stores are for loads to find: under the lap's keys */
};

/* One repetition of the point under way: all its parts, begun together. *ns: until the last one ended. */
int be_pipe_once(void *self, double *ns);
/* A point: a sample for each part. */
int be_pipe_point(struct pipe *pipe, struct be_clock *clock);
/* Makes a piece the i-th one of this lap; gives it a key that nothing has yet. */
void be_pipe_turn(struct piece *p, uint32_t i);
void be_pipe_freshen(struct piece *p);
/* Sends the piece's command; a failure is the client's error. */
void be_pipe_command(struct piece *p, enum be_verb verb);

#endif
