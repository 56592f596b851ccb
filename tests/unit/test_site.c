/* SPDX-License-Identifier: Apache-2.0 */
/* Site files: layers, what is forbidden under which spelling, and where mistakes are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <nsrun/cli/site.h>

static const struct option_table *table(void)
{
	static struct option_table one_shot;

	one_shot = (struct option_table){ .rows = option_rows, .count = option_rows_count };
	return &one_shot;
}

static int parse(struct site *site, const char *path, const char *text, struct err *err)
{
	*err = ERR_INIT;
	return site_parse(site, table(), path, text, strlen(text), err);
}

static void good(struct site *site, const char *path, const char *text)
{
	struct err err;

	if (parse(site, path, text, &err) != 0)
		fail_msg("%s", err.message);
}

static void assert_refused(const char *text, const char *where, enum err_id id)
{
	struct site site = { 0 };
	struct err err;

	assert_int_not_equal(parse(&site, "f", text, &err), 0);
	assert_string_equal(err_id_word(err.id), err_id_word(id));
	if (strncmp(err.message, where, strlen(where)) != 0)
		fail_msg("'%s' does not begin with '%s'", err.message, where);
	site_done(&site);
}

#define WORDS(...) ((char *const[]){ "nsrun", __VA_ARGS__, NULL })

static struct command_line said(char *const *words)
{
	struct command_line line;
	struct err err = ERR_INIT;
	int n = 0;

	while (words[n])
		n++;
	if (command_line_parse(n, words, &line, &err) != 0)
		fail_msg("%s", err.message);
	return line;
}

static void test_mistakes_have_their_place(void **state)
{
	(void)state;
	assert_refused("{\n \"defaults\": {\"init\": true,\n  \"memroy\": \"1g\"}}",
		       "f:3:3: memroy: unknown option: did you mean memory?", ERR_ID_SITE_FILE);
	/* Columns are characters; strings with brackets, commas and escaped quotes do not lead the scan astray. */
	assert_refused("{\"defaults\": {\"env\": [\"A=\\\"]},{[:\", \"\xc3\xa4=\xc3\xa4\",\n\t7, null]}}",
		       "f:2:5: env: null", ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"env\": [\"\xc3\xa4\xc3\xa4\", {}]}}", "f:1:29: env: an object",
		       ERR_ID_SITE_FILE);
	/* A key that is written with an escape is the same key. */
	assert_refused("{\"defaults\": {\"\\u006demory\": 1,\n\"memory\": 2}}", "f:2:8: duplicate object key",
		       ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"\\u006demory\": []}}", "f:1:30: memory: an array, where a string or a number",
		       ERR_ID_SITE_FILE);
	assert_refused("", "f:1:0: ", ERR_ID_SITE_FILE);
	assert_refused("null", "f:1:1: null, where an object", ERR_ID_SITE_FILE);
	assert_refused("{\"forbidden\": []}", "f:1:2: forbidden: unknown key: did you mean forbid?", ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": []}", "f:1:14: defaults: an array", ERR_ID_SITE_FILE);
	assert_refused("{\"forbid\": \"privileged\"}", "f:1:12: forbid: a string", ERR_ID_SITE_FILE);
	assert_refused("{\"forbid\": [\"network\",\n  \"netwrok=host\"]}",
		       "f:2:3: netwrok: unknown option: did you mean network?", ERR_ID_SITE_FILE);
	assert_refused("{\"forbid\": [\"network=\"]}", "f:1:13: network=: the pattern is empty", ERR_ID_SITE_FILE);
	assert_refused("{\"forbid\": [\"volume=/a/../b\"]}", "f:1:13: volume=/a/../b: ", ERR_ID_SITE_FILE);
	assert_refused("{\"forbid\": [\"init=perhaps\"]}", "f:1:13: init=perhaps: the value is true or false",
		       ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"init\": 1}}", "f:1:23: init: a number, where true or false",
		       ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"cpus\": 1e3}}", "f:1:23: cpus: ", ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"memory\": \"\"}}", "f:1:25: memory: the value is empty", ERR_ID_OPTION_VALUE);
	assert_refused("{\"defaults\": {\"version\": true}}", "f:1:15: version: ", ERR_ID_SITE_FILE);
	assert_refused("{\"defaults\": {\"v\": []}}", "f:1:15: v: unknown option: did you mean volume?",
		       ERR_ID_SITE_FILE);
}

static void test_no_text_harms(void **state)
{
	static const char *const texts[] = { "{",
					     "\"",
					     "{\"a",
					     "[[[[",
					     "{\"defaults\": {\"env\": [\"",
					     "\xff",
					     "\xef\xbb\xbf{}",
					     "{\"defaults\":{\"env\":[\"\\ud800\"]}}",
					     "{\"forbid\":[\"\\u0000\"]}",
					     "{}x" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct site site = { 0 };

		assert_int_not_equal(parse(&site, "f", texts[i], &err), 0);
		assert_int_equal(err.id, ERR_ID_SITE_FILE);
		site_done(&site);
	}
}

static void assert_list(const char *const *got, const char *const *wanted)
{
	size_t i = 0;

	assert_non_null(got);
	for (; wanted[i]; i++) {
		assert_non_null(got[i]);
		assert_string_equal(got[i], wanted[i]);
	}
	assert_null(got[i]);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_layers(void **state)
{
	struct site site = { 0 };
	struct err err = ERR_INIT;
	struct command_line line = said(WORDS("-m", "3g", "-e", "B=line", "-e", "D=4", "--cap-drop", "KILL",
					      "--read-only=false", "--uid-map", "0:1:2", "root"));

	(void)state;
	good(&site, "host",
	     "{\"defaults\": {\"memory\": \"1g\", \"cpus\": 1.5, \"env\": [\"A=1\", \"B=2\"], \"cap-drop\": [\"ALL\"],\n"
	     "\"read-only\": true, \"init\": true, \"userns-remap\": \"auto\", \"pids-limit\": 10}}");
	good(&site, "user", "{\"defaults\":\n{\"memory\": \"2g\", \"cpus\": \"2\", \"env\": [\"A=user\", \"C=3\"]}}");
	assert_int_equal(site_apply(&site, table(), &line, "root", &err), 0);
	assert_string_equal(line.request.memory, "3g");
	assert_string_equal(line.request.cpus, "2");
	assert_string_equal(line.request.pids_limit, "10");
	assert_int_equal(line.request.init, YES);
	assert_int_equal(line.request.read_only, NO);
	assert_int_equal(line.request.ephemeral, UNSET);
	assert_list(line.request.env, LIST("A=user", "C=3", "B=line", "D=4"));
	assert_list(line.request.cap_drop, LIST("ALL", "KILL"));
	/* Another way to choose ids is not joined to the host's. */
	assert_null(line.request.userns_remap);
	assert_list(line.request.uid_map, LIST("0:1:2"));

	for (size_t i = 0; i < site.n_said; i++) {
		const struct option_said *one = &site.said[i];

		if (strcmp(one->row->name, "memory") == 0)
			assert_null(one->file);
		if (strcmp(one->row->name, "cpus") == 0) {
			assert_string_equal(one->file, "user");
			assert_int_equal(one->line, 2);
		}
		if (strcmp(one->row->name, "init") == 0) {
			assert_string_equal(one->file, "host");
			assert_int_equal(one->line, 2);
		}
	}
	err = ERR_INIT;
	err_input(&err, "--pids-limit 10: too few");
	site_explain(&site, &err);
	assert_string_equal(err.message, "--pids-limit 10: too few (said by host:2)");
	err = ERR_INIT;
	err_input(&err, "--memory 3g: too much");
	site_explain(&site, &err);
	assert_string_equal(err.message, "--memory 3g: too much");
	command_line_done(&line);
	site_done(&site);
}

/* Is this line refused when the site forbids `forbid`? */
static bool refused(const char *forbid, char *const *words)
{
	struct site site = { 0 };
	struct err err = ERR_INIT;
	struct command_line line = said(words);
	char text[512];

	snprintf(text, sizeof(text), "{\"forbid\":\n[\"%s\"]}", forbid);
	good(&site, "f", text);
	const int r = site_apply(&site, table(), &line, line.request.rootfs, &err);
	if (r < 0) {
		assert_int_equal(err.id, ERR_ID_FORBIDDEN_BY_SITE);
		assert_int_equal(err_exit_status(&err), 125);
		assert_non_null(strstr(err.message, "f:2 forbids"));
		assert_non_null(strstr(err.message, forbid));
	}
	command_line_done(&line);
	site_done(&site);
	return r < 0;
}

static void test_forbidden(void **state)
{
	(void)state;
	assert_true(refused("trust-rootfs", WORDS("--trust-rootfs", "r")));
	assert_true(refused("trust-rootfs", WORDS("--trust-rootfs=1", "r")));
	assert_false(refused("trust-rootfs", WORDS("--trust-rootfs=false", "r")));
	assert_false(refused("trust-rootfs", WORDS("r")));
	/* What may not be switched off. */
	assert_true(refused("init=no", WORDS("--init=false", "r")));
	assert_false(refused("init=no", WORDS("--init", "r")));
	assert_true(refused("userns=host", WORDS("--userns", "host", "r")));
	assert_true(refused("memory", WORDS("-m1g", "r")));
	assert_true(refused("security-opt=seccomp=unconfined", WORDS("--security-opt", "seccomp=unconfined", "r")));
	assert_false(refused("security-opt=seccomp=unconfined", WORDS("--security-opt", "seccomp=docker", "r")));
	for (size_t i = 0; i < 4; i++) {
		char word[64];

		snprintf(word, sizeof(word), "no-new-privileges=%s", (const char *[]){ "false", "no", "0", "off" }[i]);
		assert_true(refused("security-opt=no-new-privileges=false", WORDS("--security-opt", word, "r")));
	}
	assert_false(
		refused("security-opt=no-new-privileges=false", WORDS("--security-opt", "no-new-privileges", "r")));
	assert_true(refused("cap-add=SYS_*", WORDS("--cap-add", "cap_sys_admin", "r")));
	assert_true(refused("cap-add=CAP_SYS_ADMIN", WORDS("--cap-add=sys_admin", "r")));
	assert_true(refused("cap-add=SYS_ADMIN", WORDS("--cap-add", "all", "r")));
	assert_false(refused("cap-add=SYS_ADMIN", WORDS("--cap-add", "NET_RAW", "r")));
	assert_false(refused("cap-add=SYS_ADMIN", WORDS("--cap-drop", "SYS_ADMIN", "r")));
	/* An option that is not built can be forbidden in advance. */
	assert_false(refused("landlock", WORDS("r")));
}

static void test_places(void **state)
{
	(void)state;
	assert_true(site_place_overlaps("/var/run/*", "/var/run/a"));
	assert_true(site_place_overlaps("/var/run/*", "/var/run/a/b"));
	assert_true(site_place_overlaps("/var/run/*", "/var//./run"));
	assert_true(site_place_overlaps("/var/run/*", "/"));
	assert_true(site_place_overlaps("/home/*/.ssh", "/home/alice"));
	assert_true(site_place_overlaps("/home/*/.ssh", "/home/alice/.ssh/id"));
	assert_false(site_place_overlaps("/home/*/.ssh", "/home/alice/data"));
	assert_false(site_place_overlaps("/var/run", "/var/running"));
	assert_true(site_place_overlaps("/", "/anything"));
}

static void test_volumes_by_other_ways(void **state)
{
	char dir[] = "/tmp/nsrun-test-XXXXXX", pattern[64], link_source[64], volume[160];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("secret", 0755), 0);
	assert_int_equal(mkdir("other", 0755), 0);
	assert_int_equal(symlink("secret", "link"), 0);
	snprintf(pattern, sizeof(pattern), "volume=%s/secret/*", dir);
	snprintf(link_source, sizeof(link_source), "%s/link/x:/x", dir);
	assert_true(refused(pattern, WORDS("-v", link_source, "r")));
	assert_true(refused(pattern, WORDS("-v", "link:/x", "r")));
	assert_true(refused(pattern, WORDS("-v=./other/../secret/x:/x:ro", "r")));
	assert_true(refused(pattern, WORDS("-v", ".:/x", "r")));
	assert_true(refused(pattern, WORDS("-v/:/x", "r")));
	assert_false(refused(pattern, WORDS("-v", "other:/x", "r")));
	assert_false(refused(pattern, WORDS("-v", "other:/secret", "r")));
	/* The pattern's own path leads over a link: what it leads to is meant. */
	snprintf(pattern, sizeof(pattern), "volume=%s/link/*", dir);
	snprintf(volume, sizeof(volume), "%s/secret/x:/x", dir);
	assert_true(refused(pattern, WORDS("-v", volume, "r")));
	/* Other patterns are compared with the words. */
	assert_true(refused("volume=*idmap=root*", WORDS("-v", "other:/x:idmap=root", "r")));
	snprintf(pattern, sizeof(pattern), "ROOTFS=%s/secret", dir);
	assert_true(refused(pattern, WORDS("link")));
	assert_false(refused(pattern, WORDS("other")));
	assert_int_equal(unlink("link"), 0);
	assert_int_equal(rmdir("secret"), 0);
	assert_int_equal(rmdir("other"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

static bool mount_refused(const char *pattern, const char *value)
{
	const struct option_said mount = { .row = option_find(table(), "mount"), .value = value };
	const struct site_forbid forbid = { .row = option_find(table(), "volume"), .pattern = pattern };

	assert_non_null(mount.row);
	return site_forbids(&forbid, &mount);
}

/* --mount names places in fields of CSV, and colons and commas in them can be escaped. */
static void test_mounts_are_volumes(void **state)
{
	(void)state;
	assert_true(mount_refused("/no/where/*", "type=bind,source=/no/where/x,target=/x"));
	assert_true(mount_refused("/no/where/*", "target=/x,src=/no/./where//x"));
	assert_true(mount_refused("/no/where/*", "\"src=/no/where/x\",target=/x"));
	assert_true(mount_refused("/no/a,b/*", "type=bind,\"src=/no/a,b/x\",target=/x"));
	assert_true(mount_refused("/no/a\"b", "\"src=/no/a\"\"b\""));
	assert_true(mount_refused("/no/where/*", "type=overlay,lowerdir=/a:/no/where/x,target=/x"));
	assert_true(mount_refused("/no/a:b/*", "type=overlay,lowerdir=/else:/no/a\\:b/x,target=/x"));
	assert_true(mount_refused("/no/where/*", "type=overlay,lowerdir=/a,upperdir=/no/where/u,workdir=/w,target=/x"));
	assert_true(mount_refused("/no/where/*", "type=overlay,lowerdir=/a,upperdir=/u,workdir=/no/where/w,target=/x"));
	assert_false(mount_refused("/no/where/*", "type=bind,source=/else,target=/no/where/x"));
	assert_false(mount_refused("/no/where/*", "type=tmpfs,target=/no/where/x,size=5"));
	assert_false(mount_refused("/no/where/*", ",\""));
}

static void test_namespaces_of_the_host(void **state)
{
	struct option_said said = { .row = option_find(table(), "network"), .value = "ns:/proc/self/ns/net" };
	const struct site_forbid forbid = { .row = said.row, .pattern = "host" };

	(void)state;
	assert_true(site_forbids(&forbid, &said));
	said.value = "host";
	assert_true(site_forbids(&forbid, &said));
	said.value = "none";
	assert_false(site_forbids(&forbid, &said));
	said.value = "ns:/proc/self/ns/pid";
	assert_false(site_forbids(&forbid, &said));
}

/* A layer's rules are for the layers behind it. */
static void test_who_forbids_whom(void **state)
{
	struct site site = { 0 };
	struct err err = ERR_INIT;
	struct command_line line = said(WORDS("r"));

	(void)state;
	good(&site, "host", "{\"defaults\": {\"init\": true}, \"forbid\": [\"init\", \"memory\"]}");
	assert_int_equal(site_apply(&site, table(), &line, "r", &err), 0);
	assert_int_equal(line.request.init, YES);
	good(&site, "user", "{\"defaults\": {\n\"memory\": \"1g\"}, \"forbid\": [\"cpus\"]}");
	line.request.init = UNSET;
	assert_int_not_equal(site_apply(&site, table(), &line, "r", &err), 0);
	assert_string_equal(err.message, "--memory 1g (user:2): host:1 forbids memory");
	command_line_done(&line);
	site_done(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes_have_their_place),
		cmocka_unit_test(test_no_text_harms),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_volumes_by_other_ways),
		cmocka_unit_test(test_mounts_are_volumes),
		cmocka_unit_test(test_namespaces_of_the_host),
		cmocka_unit_test(test_who_forbids_whom),
	};

	return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
