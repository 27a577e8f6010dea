/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value_impl.h - what both layouts of values share: heads as numbers, payloads as bytes.
 */
#ifndef BE_VALUE_IMPL_H
#define BE_VALUE_IMPL_H

#include "value.h"

enum { BE_VALUE_VERSION = 1 };

/* What the writer says of a piece; lengths, codec and checksum are still to come. */
struct be_head be_head_of(const struct be_format *f, const struct be_piece *p);
/* False with why for numbers that no writer writes. Everything but the checksum. */
bool be_head_sane(const struct be_head *head, const char **why);
/* False with why when a sane head is not the one that format and piece lead to. */
bool be_head_fits(const struct be_head *head, const struct be_format *f, const struct be_piece *p,
                  const char **why);
/* Shape of what a sane head describes. */
struct be_shape be_head_shape(const struct be_head *head);

/* Codes raw into out, or keeps it: *used says which. 0; -ENOSPC; -ENOMEM; -EINVAL for a shape without bytes. */
KVT_MUST_CHECK int be_payload_write(const struct be_codec *codec, const struct be_shape *shape,
                                    const void *raw, void *out, size_t room, struct be_codec *used,
                                    uint64_t *payload_b, void *scratch);
/* Decodes the payload of a sane head. */
enum kvt_status be_payload_read(const struct be_head *head, const void *payload, void *raw_room,
                                void *scratch, const char **why);

#endif
