/* SPDX-License-Identifier: Apache-2.0 */
/* backup_impl.h — what backup.c and schedule.c tell each other. */
#pragma once
#include "app/module.h"

rc_t schedule_start(void);
void schedule_stop(void);
void post_backup_run(struct request *rq);
void get_backup_status(struct request *rq);
