/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/options.h>

#define REQUEST(field) offsetof(struct command_line, request.field)
#define LINE(field) offsetof(struct command_line, field)
#define NAMESPACES WORDS("private", "host", "ns:", "container:")
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Built: group, name, letter, argument, kind, where it goes, help, example, and .values where they are counted. */
#define BUILT(g, n, l, arg, k, where, text, ex, ...)                                                    \
	{                                                                                               \
		.name = (n), .letter = (l), .argument = (arg), .kind = OPTION_##k, .group = GROUP_##g,  \
		.status = OPTION_BUILT, .offset = (where), .help = (text), .example = (ex), __VA_ARGS__ \
	}
#define PLANNED(g, n, l, arg, text)                                                                             \
	{                                                                                                       \
		.name = (n), .letter = (l), .argument = (arg), .kind = (arg) ? OPTION_STRING : OPTION_TRISTATE, \
		.group = GROUP_##g, .status = OPTION_PLANNED, .help = (text)                                    \
	}

const struct option_group_row option_groups[GROUP_COUNT] = {
	[GROUP_IDENTITY] = { "Identity", "nsrun --userns-remap dummy rootfs/ /bin/bash" },
	[GROUP_TERMINAL] = { "Terminal and life", "nsrun --init -t=false rootfs/ sleep 1" },
	[GROUP_PROCESS] = { "Process", "nsrun -e LANG=C.UTF-8 -w /srv -u nobody rootfs/ env" },
	[GROUP_FILES] = { "Files", "nsrun --read-only -v ./data:/mnt:ro rootfs/ ls /mnt" },
	[GROUP_LIMITS] = { "Limits", "nsrun -m 512m --cpus 1.5 --pids-limit 100 rootfs/ top -bn1" },
	[GROUP_CONFINEMENT] = { "Confinement", "nsrun --cap-drop ALL --security-opt seccomp=strict rootfs/ id" },
	[GROUP_NETWORK] = { "Network", "nsrun --network none rootfs/ ip link" },
	[GROUP_OBSERVE] = { "Looking on", "nsrun --trace rootfs/ /bin/true" },
};

const struct option_row option_rows[] = {
	BUILT(IDENTITY, "userns-remap", 0, "USER[:GROUP]", STRING, REQUEST(userns_remap),
	      "map ids into this user's ranges; also UID[:GID], default, auto", "--userns-remap dummy"),
	BUILT(IDENTITY, "userns", 0, "host", STRING, REQUEST(userns), "no user namespace: root inside is root outside",
	      "--userns=host", .values = WORDS("host")),
	BUILT(IDENTITY, "uid-map", 0, "IN:OUT:COUNT", LIST, REQUEST(uid_map),
	      "an exact extent of user ids, again for more", "--uid-map 0:100000:65536"),
	BUILT(IDENTITY, "gid-map", 0, "IN:OUT:COUNT", LIST, REQUEST(gid_map),
	      "an exact extent of group ids, again for more", "--gid-map 0:100000:65536"),
	BUILT(IDENTITY, "trust-rootfs", 0, NULL, TRISTATE, REQUEST(trust_rootfs),
	      "let it write a tree of host root's that others can reach", "--trust-rootfs"),

	BUILT(TERMINAL, "interactive", 'i', NULL, TRISTATE, REQUEST(interactive),
	      "pass standard input on (default; -i=false: /dev/null)", "-i=false"),
	BUILT(TERMINAL, "tty", 't', NULL, TRISTATE, REQUEST(terminal),
	      "a terminal of its own (default: when stdin and stdout are one)", "-it"),
	BUILT(TERMINAL, "init", 0, NULL, TRISTATE, REQUEST(init),
	      "a small init as PID 1 that reaps and forwards signals", "--init"),
	BUILT(TERMINAL, "detach", 'd', NULL, TRISTATE, REQUEST(detach), "run in the background, and print the id",
	      "-d"),
	BUILT(TERMINAL, "detach-keys", 0, "KEYS", STRING, REQUEST(detach_keys),
	      "keys that leave the terminal, and the container running", "--detach-keys ctrl-p,ctrl-q"),
	BUILT(TERMINAL, "name", 0, "NAME", STRING, REQUEST(name), "name the container; its record stays after its end",
	      "--name web"),
	BUILT(TERMINAL, "rm", 0, NULL, TRISTATE, REQUEST(rm), "remove record and log of a named container at its end",
	      "--rm"),
	BUILT(TERMINAL, "cidfile", 0, "FILE", STRING, REQUEST(cidfile), "write the id to a new file",
	      "--cidfile /run/web.cid"),
	BUILT(TERMINAL, "pidfile", 0, "FILE", STRING, REQUEST(pidfile),
	      "write the pid of its init, as the host counts, to a file", "--pidfile /run/web.pid"),
	BUILT(TERMINAL, "log-driver", 0, "DRIVER", STRING, REQUEST(log_driver),
	      "keep output: none, file (default with -d)", "--log-driver file", .values = WORDS("none", "file"),
	      .planned_values = WORDS("journald", "syslog")),
	BUILT(TERMINAL, "log-opt", 0, "KEY=VALUE", LIST, REQUEST(log_opts), "max-size=SIZE, max-file=COUNT of the log",
	      "--log-opt max-size=10m", .values = WORDS("max-size=", "max-file=")),

	BUILT(PROCESS, "env", 'e', "NAME[=VALUE]", LIST, REQUEST(env), "set a variable, or pass the caller's on",
	      "-e LANG=C.UTF-8"),
	BUILT(PROCESS, "workdir", 'w', "DIR", STRING, REQUEST(workdir), "working directory inside", "-w /srv"),
	BUILT(PROCESS, "user", 'u', "USER[:GROUP]", STRING, REQUEST(user), "user inside, by name or number",
	      "-u www:www"),
	BUILT(PROCESS, "hostname", 0, "NAME", STRING, REQUEST(hostname),
	      "host name inside (default: the container's id)", "--hostname web1"),
	BUILT(PROCESS, "ulimit", 0, "NAME=SOFT[:HARD]", LIST, REQUEST(ulimits), "a resource limit (setrlimit(2))",
	      "--ulimit nofile=1024:4096"),
	BUILT(PROCESS, "env-file", 0, "FILE", LIST, REQUEST(env_files),
	      "variables from a file, a line each; --env wins", "--env-file web.env"),
	BUILT(PROCESS, "group-add", 0, "GROUP", LIST, REQUEST(group_add),
	      "a supplementary group inside, by name or number", "--group-add audio"),
	BUILT(PROCESS, "domainname", 0, "NAME", STRING, REQUEST(domainname), "NIS domain name inside",
	      "--domainname example.org"),
	BUILT(PROCESS, "umask", 0, "MODE", STRING, REQUEST(umask), "file mode creation mask (default 022)",
	      "--umask 077"),
	BUILT(PROCESS, "sysctl", 0, "KEY=VALUE", LIST, REQUEST(sysctls),
	      "a kernel parameter of the container's own namespaces", "--sysctl net.ipv4.ip_unprivileged_port_start=0"),
	BUILT(PROCESS, "entrypoint", 0, "CMD", STRING, REQUEST(entrypoint), "program that CMD becomes the arguments of",
	      "--entrypoint /bin/echo"),
	BUILT(PROCESS, "stop-signal", 0, "SIGNAL", STRING, REQUEST(stop_signal),
	      "signal that asks the workload to end (default TERM)", "--stop-signal QUIT"),
	BUILT(PROCESS, "stop-timeout", 0, "SECONDS", STRING, REQUEST(stop_timeout),
	      "time from that signal to SIGKILL (default 10)", "--stop-timeout 30"),
	BUILT(PROCESS, "image-config", 0, "FILE|none", STRING, REQUEST(image_config),
	      "the image's configuration (default: ROOTFS.image.json, if any)", "--image-config none"),

	BUILT(FILES, "volume", 'v', "SRC:DST[:ro,...]", LIST, REQUEST(volumes),
	      "show a directory or file of the host inside", "-v ./data:/data:ro"),
	BUILT(FILES, "mount", 0, "type=TYPE,...", LIST, REQUEST(mounts),
	      "a mount in key=value words: bind, tmpfs or overlay", "--mount type=bind,src=./data,dst=/data,ro"),
	BUILT(FILES, "tmpfs", 0, "DST[:WORD,...]", LIST, REQUEST(tmpfs), "an empty file system in memory",
	      "--tmpfs /run:size=64m,mode=755"),
	BUILT(FILES, "shm-size", 0, "SIZE", STRING, REQUEST(shm_size), "size of /dev/shm (default: 64m)",
	      "--shm-size 256m"),
	BUILT(FILES, "read-only", 0, NULL, TRISTATE, REQUEST(read_only), "mount the rootfs read-only", "--read-only"),
	BUILT(FILES, "ephemeral", 0, NULL, TRISTATE, REQUEST(ephemeral), "throw every write to the rootfs away",
	      "--ephemeral"),
	PLANNED(FILES, "secret", 0, "NAME[,OPTION...]", "a secret as a file below /run/secrets"),

#define LIMIT(n, l, arg, k, field, text, ex) BUILT(LIMITS, n, l, arg, k, REQUEST(field), text, ex),
#include <nsrun/cli/limit_option_table.h>
#undef LIMIT
	BUILT(LIMITS, "oom-score-adj", 0, "NUMBER", STRING, REQUEST(oom_score_adj),
	      "-1000 to 1000: how soon the kernel kills it for want of memory", "--oom-score-adj 500"),
	BUILT(LIMITS, "cgroup-parent", 0, "PATH", STRING, REQUEST(cgroup_parent),
	      "make the group below PATH, not below nsrun's own", "--cgroup-parent /jobs"),
	BUILT(LIMITS, "cgroup-manager", 0, "MANAGER", STRING, REQUEST(cgroup_manager),
	      "who makes the group: auto, cgroupfs, systemd, disabled", "--cgroup-manager systemd",
	      .values = WORDS("auto", "cgroupfs", "systemd", "disabled")),

	BUILT(CONFINEMENT, "cap-add", 0, "CAP", LIST, REQUEST(cap_add), "give a capability, or ALL (capabilities(7))",
	      "--cap-add NET_RAW"),
	BUILT(CONFINEMENT, "cap-drop", 0, "CAP", LIST, REQUEST(cap_drop), "take a capability, or ALL",
	      "--cap-drop ALL"),
	BUILT(CONFINEMENT, "security-opt", 0, "WORD=VALUE", LIST, REQUEST(security_opts),
	      "seccomp=, no-new-privileges, writable-cgroups, [un]mask= ...", "--security-opt seccomp=docker",
	      .values = WORDS("seccomp=", "no-new-privileges", "no-new-privileges=", "systempaths=unconfined",
			      "mask=", "unmask=", "writable-cgroups", "writable-cgroups="),
	      .planned_values = WORDS("apparmor=", "label=")),
	BUILT(CONFINEMENT, "masked-path", 0, "PATH", LIST, REQUEST(masked_paths),
	      "hide a file or directory of the container", "--masked-path /etc/ssl/private"),
	BUILT(CONFINEMENT, "privileged", 0, NULL, TRISTATE, REQUEST(privileged),
	      "all capabilities of its user namespace, no filter, no masks", "--privileged"),
	BUILT(CONFINEMENT, "device", 0, "PATH[:DST][:rwm]", LIST, REQUEST(devices),
	      "a device of the host inside, or all in a directory", "--device /dev/fuse"),
	BUILT(CONFINEMENT, "device-cgroup-rule", 0, "RULE", LIST, REQUEST(device_rules),
	      "devices that may be opened and made, beside the usual ones", "--device-cgroup-rule 'c 42:* rwm'"),
	PLANNED(CONFINEMENT, "landlock", 0, "RULE", "file access rules (landlock(7))"),
	BUILT(CONFINEMENT, "pid", 0, "NAMESPACE", STRING, REQUEST(pid),
	      "processes seen: private (default), host, ns:PATH, container:NAME", "--pid host", .values = NAMESPACES),
	BUILT(CONFINEMENT, "ipc", 0, "NAMESPACE", STRING, REQUEST(ipc), "IPC objects and /dev/shm: the same words",
	      "--ipc container:db", .values = NAMESPACES),
	BUILT(CONFINEMENT, "uts", 0, "NAMESPACE", STRING, REQUEST(uts), "host name: the same words", "--uts host",
	      .values = NAMESPACES),
	BUILT(CONFINEMENT, "cgroupns", 0, "NAMESPACE", STRING, REQUEST(cgroupns),
	      "root of the control groups seen: the same words", "--cgroupns host", .values = NAMESPACES),
	BUILT(CONFINEMENT, "time", 0, "NAMESPACE", STRING, REQUEST(time),
	      "clocks since boot: the same words, host by default", "--time private", .values = NAMESPACES),
	BUILT(CONFINEMENT, "time-offset", 0, "CLOCK=SECONDS", LIST, REQUEST(time_offsets),
	      "shift monotonic or boottime in a new time namespace", "--time-offset boottime=86400",
	      .values = WORDS("monotonic=", "boottime=")),

	BUILT(NETWORK, "network", 0, "NETWORK", STRING, REQUEST(network),
	      "none (default: loopback alone), host, ns:PATH, container:NAME", "--network host",
	      .values = WORDS("none", "private", "host", "ns:", "container:"),
	      .planned_values = WORDS("bridge", "pasta")),
	PLANNED(NETWORK, "publish", 'p', "HOST:CONTAINER", "forward a port of the host"),
	PLANNED(NETWORK, "ip", 0, "ADDRESS", "address inside"),
	PLANNED(NETWORK, "mac-address", 0, "ADDRESS", "hardware address inside"),
	BUILT(NETWORK, "dns", 0, "ADDRESS", LIST, REQUEST(dns), "name server inside (/etc/resolv.conf)",
	      "--dns 192.0.2.53"),
	BUILT(NETWORK, "add-host", 0, "NAME:ADDRESS", LIST, REQUEST(add_hosts), "a line of /etc/hosts inside",
	      "--add-host db:192.0.2.7"),
	PLANNED(NETWORK, "icc", 0, NULL, "traffic between containers"),
	PLANNED(NETWORK, "net-bandwidth", 0, "RATE", "network speed"),

	BUILT(OBSERVE, "trace", 0, "FORMAT", OPTIONAL, LINE(trace), "tell every step of the launch: text or json",
	      "--trace=json", .values = WORDS("text", "json")),
	BUILT(OBSERVE, "trace-file", 0, "FILE", STRING, LINE(trace_file),
	      "write the trace to this file, not to standard error", "--trace-file launch.txt"),
	BUILT(OBSERVE, "dry-run", 0, NULL, TRISTATE, LINE(dry_run), "print the plan and the steps, and do nothing",
	      "--dry-run"),
	BUILT(OBSERVE, "spec", 0, NULL, TRISTATE, LINE(spec),
	      "print the OCI config.json of the same container, and do nothing", "--spec"),
	BUILT(OBSERVE, "help", 'h', NULL, FLAG, LINE(help), "this text", "--help"),
	BUILT(OBSERVE, "version", 0, NULL, FLAG, LINE(version), "the version", "--version"),
	PLANNED(OBSERVE, "audit-log", 0, "FILE", "one record of every launch and refusal"),
};

const size_t option_rows_count = ARRAY_LEN(option_rows);
