/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * prompts.c - see prompts.h. Of a text only the tokens are kept: they hold its bytes, little endian, so it
 * is read back from them.
 */
#include "prompts.h"

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct one {
    size_t at;     /* its first token */
    size_t text_b; /* 0: it came as tokens */
    uint32_t n_tokens;
    kvt_key root;
};

struct wl_prompts {
    uint32_t *tokens;
    size_t n_tokens, tokens_room;
    struct one *all;
    size_t n, room;
    size_t told;
    uint32_t *letters; /* of the prompt told last */
    size_t letters_room;
};

struct wl_prompts *wl_prompts_new(void)
{
    return calloc(1, sizeof(struct wl_prompts));
}

void wl_prompts_free(struct wl_prompts *p)
{
    if (p == NULL)
        return;
    free(p->tokens);
    free(p->all);
    free(p->letters);
    free(p);
}

static int take(void *self, const struct wl_prompt *prompt)
{
    struct wl_prompts *p = self;
    assert(prompt->request == p->n);
    if (wl_grow(&p->tokens, &p->tokens_room, p->n_tokens + prompt->n_tokens, sizeof *p->tokens) ||
        wl_grow(&p->all, &p->room, p->n + 1, sizeof *p->all))
        return -ENOMEM;
    memcpy(p->tokens + p->n_tokens, prompt->tokens, prompt->n_tokens * sizeof *p->tokens);
    p->all[p->n++] = (struct one){p->n_tokens, prompt->text != NULL ? prompt->text_b : 0,
                                  prompt->n_tokens, prompt->root};
    p->n_tokens += prompt->n_tokens;
    return 0;
}

struct wl_prompt_sink wl_prompts_sink(struct wl_prompts *prompts)
{
    return (struct wl_prompt_sink){.take = take, .self = prompts};
}

void wl_prompts_rewind(struct wl_prompts *prompts)
{
    prompts->told = 0;
}

static uint32_t byte_at(const uint32_t *tokens, size_t i)
{
    return tokens[i / 4] >> (i % 4 * 8) & 0xff;
}

/* The code point at byte *i, and past it. The text is valid UTF-8: the reader of JSON saw to that. */
static uint32_t code_point(const uint32_t *tokens, size_t text_b, size_t *i)
{
    const uint32_t first = byte_at(tokens, (*i)++);
    const uint32_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint32_t letter = more == 0 ? first : first & (0x3fu >> more);
    for (uint32_t k = 0; k < more && *i < text_b; k++)
        letter = letter << 6 | (byte_at(tokens, (*i)++) & 0x3f);
    return letter;
}

int wl_prompts_tell(struct wl_prompts *p, struct kvt_request *request)
{
    assert(p->told < p->n);
    const struct one *one = &p->all[p->told++];
    assert(one->n_tokens == request->prompt_tokens);
    request->tokens = p->tokens + one->at;
    request->root = one->root;
    if (one->text_b == 0)
        return 0;
    if (wl_grow(&p->letters, &p->letters_room, one->text_b, sizeof *p->letters))
        return -ENOMEM;
    uint32_t n = 0;
    for (size_t i = 0; i < one->text_b;)
        p->letters[n++] = code_point(request->tokens, one->text_b, &i);
    request->letters = p->letters;
    request->n_letters = n;
    return 0;
}
