/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_print.h - figures of `kvtwin codec`, for people and for machines.
 */
#ifndef CLI_CODEC_PRINT_H
#define CLI_CODEC_PRINT_H

#include "codec_measure.h"

void codec_print(const struct codec_data *data, const struct codec_figures *figures, size_t n,
                 uint32_t threads);
/* 0 or -ENOMEM. */
KVT_MUST_CHECK int codec_print_json(const struct codec_data *data,
                                    const struct codec_figures *figures, size_t n,
                                    uint32_t threads);

#endif
