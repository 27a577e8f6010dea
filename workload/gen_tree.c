/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gen_tree.c - a random prefix tree: from the root down, at each node one of fan_out children, the k-th with
 * weight k^-zipf, depth times; then text of the request's own.
 *
 * The tree is never built: a node's length is drawn from the stream of its own number.
 */
#include "path.h"
#include "zipf.h"

#include <errno.h>
#include <stdlib.h>

struct tree {
    struct wl_zipf child;
    uint32_t fan_out, depth;
};

static void tree_draw(struct wl_walk *walk, const gsl_rng *rng, struct wl_path *path)
{
    const struct tree *tree = walk->self;
    const struct wl_generate *g = &walk->plan.g;
    const uint64_t base = (uint64_t)tree->fan_out + 1;
    uint64_t node = 0;
    wl_path_add(walk, path, 2, 0, (uint32_t)wl_gen_count(&walk->plan, WL_SYSTEM_TOKENS));
    for (uint32_t i = 0; i < tree->depth; i++) {
        const uint32_t digit = wl_zipf_draw(&tree->child, rng);
        uint64_t state;
        node = node * base + digit + 1;
        const gsl_rng length = wl_rng(&state, walk->plan.seed, "node", node);
        wl_path_add(walk, path, base, digit,
                    wl_draw_tokens(&length, wl_generate_value(g, WL_NODE_TOKENS),
                                   wl_generate_value(g, WL_NODE_CV), WL_TOKENS_MOST));
    }
}

static void tree_free(void *self)
{
    struct tree *tree = self;
    wl_zipf_release(&tree->child);
    free(tree);
}

int wl_gen_tree(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error)
{
    struct tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL)
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    tree->fan_out = (uint32_t)wl_gen_count(plan, WL_FAN_OUT);
    tree->depth = (uint32_t)wl_gen_count(plan, WL_DEPTH);
    if (wl_zipf_init(&tree->child, tree->fan_out, wl_generate_value(&plan->g, WL_ZIPF)) != 0) {
        tree_free(tree);
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    }
    const struct wl_walk walk = {.plan = *plan,
                                 .draw = tree_draw,
                                 .self = tree,
                                 .free_self = tree_free};
    return wl_walk_open(feed, &walk, error);
}
