/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/filter_cache.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAGIC "nsrun-filter-1"
#define FILE_MAX (16U << 20)
#define NAME_LEN 16 /* hexadecimal digits of the hash */

/* Beginning of a file; then key_size bytes of key text, then the program. Native byte order: it never leaves this machine. */
struct header {
	char magic[16];
	uint64_t checksum; /* of all that follows it: a disk that was full or failed is noticed */
	uint64_t key_size;
	uint32_t len;
	uint32_t flags;
};

/* FNV-1a, 64 bits: to find a file and to notice damage, not to withstand anybody. */
static uint64_t hash(uint64_t h, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

#define BUILD_ID_MAX 64

struct build_id {
	char text[2 * BUILD_ID_MAX + 1];
};

/* The first object is the program. Its notes are 4-byte aligned (elf(5)). */
static int read_build_id(struct dl_phdr_info *info, size_t size, void *data)
{
	struct build_id *id = data;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const char *at = (const char *)(info->dlpi_addr + segment->p_vaddr), *end = at + segment->p_memsz;

		while (segment->p_type == PT_NOTE && end - at > (ptrdiff_t)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const void *)at;
			const char *name = at + sizeof(*note);
			const unsigned char *value = (const unsigned char *)name + ((note->n_namesz + 3) & ~3U);

			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
				for (unsigned k = 0; k < note->n_descsz && k < BUILD_ID_MAX; k++)
					snprintf(id->text + 2 * k, 3, "%02x", value[k]);
				return 1;
			}
			at = (const char *)value + ((note->n_descsz + 3) & ~3U);
		}
	}
	return 1;
}

/* All that the result depends on, as text; malloc'd. The build id stands for the code that turns a profile into rules: what another
 * build of nsrun made is not used. */
static char *key_text(const struct filter_key *key, size_t *ret_size)
{
	const struct scmp_version *library = seccomp_version();
	struct build_id build = { "" };
	struct utsname name;
	char *text;
	int n;

	dl_iterate_phdr(read_build_id, &build);
	if (!*build.text)
		return NULL;
	if (!library || uname(&name) < 0)
		return NULL;
	n = asprintf(&text, "build %s\nlibseccomp %u.%u.%u\nkernel %s %s\nmachine %s\ncaps %#llx\n", build.text,
		     library->major, library->minor, library->micro, name.release, name.version, name.machine,
		     (unsigned long long)key->caps);
	if (n < 0)
		return NULL;
	char *whole = realloc(text, (size_t)n + key->size + 1);
	if (!whole) {
		free(text);
		return NULL;
	}
	memcpy(whole + n, key->profile, key->size);
	*ret_size = (size_t)n + key->size;
	return whole;
}

static void file_name(const char *text, size_t size, char ret[NAME_LEN + 1])
{
	snprintf(ret, NAME_LEN + 1, "%016llx", (unsigned long long)hash(HASH_BEGIN, text, size));
}

/* Ours, and nobody else's to write: what stands in it then came from this user. */
static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_step(int dirfd, const char *name, bool make, int *ret_fd)
{
	struct stat st;

	if (make && mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The directory that the cache begins in, which exists. */
static int base_name(char *ret, size_t size)
{
	const char *dir = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	/* HOME may be another user's under su and sudo. */
	if (geteuid() == 0)
		n = snprintf(ret, size, "/var/cache");
	else if (dir && dir[0] == '/')
		n = snprintf(ret, size, "%s", dir);
	else if (home && home[0] == '/')
		n = snprintf(ret, size, "%s/.cache", home);
	else
		return -ENOENT;
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int open_cache(const char *dir, bool make, int *ret_fd)
{
	_cleanup_close_ int base = FD_NONE, ours = FD_NONE;
	char path[PATH_MAX];
	int r;

	if (dir)
		return open_step(AT_FDCWD, dir, false, ret_fd);
	r = base_name(path, sizeof(path));
	if (r < 0)
		return r;
	base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	r = open_step(base, "nsrun", make, &ours);
	return r < 0 ? r : open_step(ours, "seccomp", make, ret_fd);
}

static const struct seccomp_program *take(const char *data, size_t size, const char *key, size_t key_size,
					  struct arena *arena)
{
	struct header header;
	struct seccomp_program *program;
	struct sock_filter *insns;

	if (size < sizeof(header))
		return NULL;
	memcpy(&header, data, sizeof(header));
	const size_t skip = offsetof(struct header, key_size);
	if (memcmp(header.magic, MAGIC, sizeof(MAGIC)) != 0 || header.key_size != key_size || header.len == 0 ||
	    header.len > USHRT_MAX || size != sizeof(header) + key_size + header.len * sizeof(*insns) ||
	    memcmp(data + sizeof(header), key, key_size) != 0 ||
	    header.checksum != hash(HASH_BEGIN, data + skip, size - skip))
		return NULL;
	program = arena_alloc(arena, sizeof(*program));
	insns = arena_array(arena, header.len, sizeof(*insns));
	if (!program || !insns)
		return NULL;
	memcpy(insns, data + sizeof(header) + key_size, header.len * sizeof(*insns));
	*program = (struct seccomp_program){ .len = (unsigned short)header.len, .insns = insns, .flags = header.flags };
	return program;
}

const struct seccomp_program *filter_cache_find(const char *dir, const struct filter_key *key, struct arena *arena)
{
	_cleanup_close_ int cache = FD_NONE, fd = FD_NONE;
	_cleanup_free_ char *text = NULL, *data = NULL;
	char name[NAME_LEN + 1];
	size_t key_size, size;
	struct stat st;

	if (open_cache(dir, false, &cache) < 0)
		return NULL;
	text = key_text(key, &key_size);
	if (!text)
		return NULL;
	file_name(text, key_size, name);
	fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_ours(&st) || st.st_nlink != 1 ||
	    st.st_size < 0 || st.st_size > FILE_MAX)
		return NULL;
	if (file_read_fd(fd, name, (size_t)st.st_size, FILE_MAX, &data, &size, NULL) < 0)
		return NULL;
	return take(data, size, text, key_size, arena);
}

static bool is_name(const char *name)
{
	return strlen(name) == NAME_LEN && strspn(name, "0123456789abcdef") == NAME_LEN;
}

/* Makes room: the oldest goes. Directories of 64 files are read in one go, and only when a filter was compiled. */
static void trim(int cache)
{
	_cleanup_closedir_ DIR *list = dir_list_at(cache, ".");
	char oldest[NAME_LEN + 1] = "";
	struct timespec when = { 0 };
	struct dirent *entry;
	size_t n = 0;

	while (list && (entry = readdir(list))) {
		struct stat st;

		if (!is_name(entry->d_name) || fstatat(cache, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		n++;
		if (!*oldest || st.st_mtim.tv_sec < when.tv_sec ||
		    (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
			strcpy(oldest, entry->d_name);
			when = st.st_mtim;
		}
	}
	if (n > FILTER_CACHE_FILES)
		unlinkat(cache, oldest, 0);
}

int filter_cache_keep(const char *dir, const struct filter_entry *entry)
{
	_cleanup_close_ int cache = FD_NONE;
	_cleanup_free_ char *text = NULL, *data = NULL;
	const struct seccomp_program *program = entry->program;
	const size_t insns_size = program->len * sizeof(*program->insns);
	struct header header = { .magic = MAGIC, .len = program->len, .flags = program->flags };
	char name[NAME_LEN + 1];
	size_t key_size;
	int r;

	r = open_cache(dir, true, &cache);
	if (r < 0)
		return r;
	text = key_text(&entry->key, &key_size);
	if (!text)
		return -ENOMEM;
	const size_t size = sizeof(header) + key_size + insns_size, skip = offsetof(struct header, key_size);
	if (size > FILE_MAX)
		return -EFBIG;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	header.key_size = key_size;
	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), text, key_size);
	memcpy(data + sizeof(header) + key_size, program->insns, insns_size);
	header.checksum = hash(HASH_BEGIN, data + skip, size - skip);
	memcpy(data, &header, sizeof(header));
	file_name(text, key_size, name);
	r = file_replace_at(cache, name, 0600, data, size, NULL);
	if (r == 0)
		trim(cache);
	return r;
}
