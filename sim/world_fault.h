/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_fault.h - what the simulated world's own files ask of conditions (fault.h). All but build, release and the
 * times need w->faults, which is NULL where nothing ever befalls.
 */
#ifndef SIM_WORLD_FAULT_H
#define SIM_WORLD_FAULT_H

#include <assert.h>
#include <errno.h>

#include "../core/breaker.h"
#include "fault.h"
#include "world_impl.h"

/* False when memory is out: released like anything else. */
bool sim_faults_build(struct sim_world *w);
void sim_faults_release(struct sim_world *w);

enum sim_reach {
    SIM_REACHED,
    SIM_REFUSED, /* known at once */
    SIM_SILENT   /* no answer will come */
};
/* What an engine gets when it asks a node. Tries connections whose pause is over. */
enum sim_reach sim_fault_reach(const struct sim_world *w, uint32_t engine, uint32_t node);
/* The operation's deadline is over, and some of its nodes said nothing; or a node did answer. */
void sim_fault_unanswered(struct sim_world *w, const struct op *op);
void sim_fault_answered(struct sim_world *w, uint32_t engine, uint32_t node);
bool sim_fault_peer_cut(const struct sim_world *w, uint32_t engine, uint32_t from);

/* Draws: does a value of that node, or a block of that tier, fail its check? */
bool sim_fault_value_corrupt(struct sim_world *w, uint32_t engine, uint32_t node);
bool sim_fault_block_corrupt(struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine);
/* number: of the node, or the engine. */
bool sim_fault_full(const struct sim_world *w, enum kvt_tier_kind tier, uint32_t number);
/* How much later than usual a node's answer comes. */
kvt_ns sim_fault_late_ns(const struct sim_world *w, uint32_t engine, uint32_t node);
/* A node has taken a value: its replica will. */
void sim_fault_written(struct sim_world *w, uint32_t node, kvt_key key, uint64_t stored_b);

/* Times, as they are now. */
kvt_ns sim_fault_command_ns(const struct sim_world *w, uint32_t node, kvt_ns usual_ns);
kvt_ns sim_fault_disk_ns(const struct sim_world *w, uint32_t engine, kvt_ns usual_ns);
kvt_ns sim_fault_copy_ns(const struct sim_world *w, uint32_t engine, kvt_ns usual_ns);
double sim_fault_step_slow(const struct sim_world *w, uint32_t engine);

#endif
