/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pack.c - see pack.h. A chunk is copied out of the encoder at its exact size, so memory is what the
 * encoding needs, and one buffer.
 */
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_B = 1 << 16 };

static int close_chunk(struct wl_pack *pack)
{
    struct wl_encoder *encoder = &pack->encoder;
    if (encoder->records == 0)
        return 0;
    if (wl_grow(&pack->chunks, &pack->room, pack->n + 1, sizeof pack->chunks[0]) != 0)
        return -ENOMEM;
    unsigned char *bytes = malloc(encoder->size_b);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, encoder->bytes, encoder->size_b);
    pack->chunks[pack->n++] = (struct wl_pack_chunk){bytes, encoder->size_b, encoder->records};
    wl_encoder_empty(encoder);
    return 0;
}

int wl_pack_add(struct wl_pack *pack, const struct wl_record *record)
{
    if (pack->encoder.size_b >= CHUNK_B && close_chunk(pack) != 0)
        return -ENOMEM;
    const int status = wl_encode(&pack->encoder, record);
    pack->records += status == 0;
    return status;
}

int wl_pack_seal(struct wl_pack *pack)
{
    const int status = close_chunk(pack);
    wl_encoder_release(&pack->encoder);
    return status;
}

void wl_pack_release(struct wl_pack *pack)
{
    wl_encoder_release(&pack->encoder);
    wl_decoder_release(&pack->decoder);
    wl_intern_release(&pack->keys);
    for (size_t i = 0; i < pack->n; i++)
        free(pack->chunks[i].bytes);
    free(pack->chunks);
    *pack = (struct wl_pack){0};
}

/* Its own bytes are sound, so decoding can fail for want of memory only. */
static int pack_next(void *self, struct wl_record *record, struct wl_error *error)
{
    struct wl_pack *pack = self;
    const char *why = "";
    int status;
    while ((status = wl_decode(&pack->decoder, record, &why)) == 0) {
        if (pack->next == pack->n)
            return 0;
        const struct wl_pack_chunk *chunk = &pack->chunks[pack->next++];
        wl_decoder_chunk(&pack->decoder, chunk->bytes, chunk->size_b, chunk->records);
    }
    if (status < 0)
        return wl_fail(error, status, NULL, 0, "trace", "%s",
                       status == -ENOMEM ? "expected more memory" : why);
    const uint32_t full = record->prompt_tokens / pack->block_tokens;
    if (pack->partial && record->n_ids == full + 1 &&
        record->prompt_tokens % pack->block_tokens != 0) {
        record->has_tail = true;
        record->n_ids = full;
        record->tail_id = record->ids[full];
    }
    return 1;
}

static void pack_rewind(void *self)
{
    struct wl_pack *pack = self;
    pack->next = 0;
    pack->decoder.last_ns = 0;
    wl_decoder_chunk(&pack->decoder, NULL, 0, 0);
}

static void pack_close(void *self)
{
    wl_pack_release(self);
    free(self);
}

const struct wl_feed_ops wl_pack_feed = {pack_next, pack_rewind, pack_close};
