/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image configuration that is kept beside a rootfs which was made from an image: ROOTFS.image.json next to the directory
 * ROOTFS, never in it, where the container could write it. It is the `config` object of the OCI image specification, in a file of that form
 * ({"config": {...}}), or as `docker image inspect` and `docker inspect` print it ([{"Config": {...}}]), or alone.
 */
#ifndef NSRUN_PLAN_IMAGE_H
#define NSRUN_PLAN_IMAGE_H

#include <nsrun/plan/plan.h>

/* What the image says; NULL where it says nothing. Strings live in the arena that was given. */
struct image_config {
	const char *path; /* NULL: there is none */
	const char *user, *workdir, *stop_signal;
	const char *const *env, *const *entrypoint, *const *cmd;
	const char *const *volumes, *const *ports; /* names of the objects' members */
	const char *const *labels;		   /* NAME=VALUE */
};

/* `name` serves messages: "FILE: config.Env[2]: ...". A member of the wrong type is an error, one that is null or unknown says nothing. */
int image_config_parse(const char *text, size_t size, const char *name, struct arena *arena, struct image_config *ret,
		       struct err *err);

/* The file that belongs to the request: its own image_config, or the one beside the rootfs. It must be a regular file of the caller's or of
 * root's that nobody else can write. Without one *ret is empty. */
int image_config_load(const struct plan *plan, const struct plan_request *request, struct image_config *ret,
		      struct err *err);

#endif
