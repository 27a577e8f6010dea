/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * device_impl.h - the devices that be_device_open chooses from; for device*.c alone.
 */
#ifndef BE_DEVICE_IMPL_H
#define BE_DEVICE_IMPL_H

#include "device.h"

enum { BE_POOLS_MOST = 4096 };

/* As be_device_open, with a geometry that makes sense. */
KVT_MUST_CHECK int be_device_host_open(struct be_device *device,
                                       const struct be_device_config *config, char *error,
                                       size_t error_size);
KVT_MUST_CHECK int be_device_cuda_open(struct be_device *device,
                                       const struct be_device_config *config, char *error,
                                       size_t error_size);

/* "2 x NVIDIA ...", or why there is none. */
void be_device_cuda_survey(char *text, size_t size);

#endif
