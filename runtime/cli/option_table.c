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
	[GROUP_TERMINAL] = { "Terminal and life", "nsrun --init -t=false rootfs/ make -j4 < /dev/null" },
	[GROUP_PROCESS] = { "Process", "nsrun -e LANG=C.UTF-8 -w /srv -u www rootfs/ env" },
	[GROUP_FILES] = { "Files", "nsrun --read-only -v ./data:/data:ro rootfs/ ls /data" },
	[GROUP_LIMITS] = { "Limits", "nsrun -m 512m --cpus 1.5 --pids-limit 100 rootfs/ /bin/job" },
	[GROUP_CONFINEMENT] = { "Confinement", "nsrun --cap-drop ALL --security-opt seccomp=my.json rootfs/ id" },
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
	PLANNED(TERMINAL, "detach", 'd', NULL, "run in the background"),
	PLANNED(TERMINAL, "detach-keys", 0, "KEYS", "keys that leave an attached terminal"),
	PLANNED(TERMINAL, "name", 0, "NAME", "name the container"),
	PLANNED(TERMINAL, "rm", 0, NULL, "remove what a named container leaves"),
	PLANNED(TERMINAL, "cidfile", 0, "FILE", "write the id to a file"),
	PLANNED(TERMINAL, "pidfile", 0, "FILE", "write the pid to a file"),

	BUILT(PROCESS, "env", 'e', "NAME[=VALUE]", LIST, REQUEST(env), "set a variable, or pass the caller's on",
	      "-e LANG=C.UTF-8"),
	BUILT(PROCESS, "workdir", 'w', "DIR", STRING, REQUEST(workdir), "working directory inside", "-w /srv"),
	BUILT(PROCESS, "user", 'u', "USER[:GROUP]", STRING, REQUEST(user), "user inside, by name or number",
	      "-u www:www"),
	BUILT(PROCESS, "hostname", 0, "NAME", STRING, REQUEST(hostname),
	      "host name inside (default: the container's id)", "--hostname web1"),
	BUILT(PROCESS, "ulimit", 0, "NAME=SOFT[:HARD]", LIST, REQUEST(ulimits), "a resource limit (setrlimit(2))",
	      "--ulimit nofile=1024:4096"),
	PLANNED(PROCESS, "env-file", 0, "FILE", "variables from a file"),
	PLANNED(PROCESS, "group-add", 0, "GROUP", "a supplementary group"),
	PLANNED(PROCESS, "domainname", 0, "NAME", "NIS domain name inside"),
	PLANNED(PROCESS, "umask", 0, "MODE", "file mode creation mask"),
	PLANNED(PROCESS, "sysctl", 0, "KEY=VALUE", "a kernel parameter of the container's namespaces"),
	PLANNED(PROCESS, "entrypoint", 0, "CMD", "program that CMD becomes the arguments of"),
	PLANNED(PROCESS, "stop-signal", 0, "SIGNAL", "signal that asks the workload to end"),
	PLANNED(PROCESS, "stop-timeout", 0, "SECONDS", "time until it is killed"),

	BUILT(FILES, "volume", 'v', "SRC:DST[:ro]", LIST, REQUEST(volumes),
	      "show a directory or file of the host inside; also :idmap=root", "-v ./data:/data:ro"),
	BUILT(FILES, "read-only", 0, NULL, TRISTATE, REQUEST(read_only), "mount the rootfs read-only", "--read-only"),
	BUILT(FILES, "ephemeral", 0, NULL, TRISTATE, REQUEST(ephemeral), "throw every write to the rootfs away",
	      "--ephemeral"),
	PLANNED(FILES, "mount", 0, "type=TYPE,...", "a mount of any type"),
	PLANNED(FILES, "tmpfs", 0, "DST[:OPTIONS]", "an empty file system in memory"),
	PLANNED(FILES, "shm-size", 0, "SIZE", "size of /dev/shm"),
	PLANNED(FILES, "secret", 0, "NAME[,OPTION...]", "a secret as a file below /run/secrets"),

	BUILT(LIMITS, "memory", 'm', "SIZE", STRING, REQUEST(memory), "bytes of memory; suffixes k m g t", "-m 512m"),
	BUILT(LIMITS, "pids-limit", 0, "COUNT", STRING, REQUEST(pids_limit), "number of processes and threads",
	      "--pids-limit 100"),
	BUILT(LIMITS, "cpus", 0, "NUMBER", STRING, REQUEST(cpus), "processors' worth of time", "--cpus 1.5"),
	PLANNED(LIMITS, "memory-reservation", 0, "SIZE", "memory that is reclaimed last"),
	PLANNED(LIMITS, "memory-swap", 0, "SIZE", "memory and swap together"),
	PLANNED(LIMITS, "cpu-shares", 0, "WEIGHT", "share of the processors under contention"),
	PLANNED(LIMITS, "cpuset-cpus", 0, "LIST", "processors to run on"),
	PLANNED(LIMITS, "cpuset-mems", 0, "LIST", "memory nodes to use"),
	PLANNED(LIMITS, "device-read-bps", 0, "DEVICE:RATE", "bytes read a second"),
	PLANNED(LIMITS, "device-write-bps", 0, "DEVICE:RATE", "bytes written a second"),
	PLANNED(LIMITS, "device-read-iops", 0, "DEVICE:RATE", "reads a second"),
	PLANNED(LIMITS, "device-write-iops", 0, "DEVICE:RATE", "writes a second"),
	PLANNED(LIMITS, "io-weight", 0, "WEIGHT", "share of input and output under contention"),
	PLANNED(LIMITS, "hugetlb", 0, "SIZE=LIMIT", "huge pages"),
	PLANNED(LIMITS, "oom-score-adj", 0, "NUMBER", "how soon the kernel kills it when memory ends"),
	PLANNED(LIMITS, "cgroup", 0, "KEY=VALUE", "any file of the control group"),
	PLANNED(LIMITS, "cgroup-parent", 0, "PATH", "group to be made below"),

	BUILT(CONFINEMENT, "cap-add", 0, "CAP", LIST, REQUEST(cap_add), "give a capability, or ALL (capabilities(7))",
	      "--cap-add NET_RAW"),
	BUILT(CONFINEMENT, "cap-drop", 0, "CAP", LIST, REQUEST(cap_drop), "take a capability, or ALL",
	      "--cap-drop ALL"),
	BUILT(CONFINEMENT, "security-opt", 0, "WORD=VALUE", LIST, REQUEST(security_opts),
	      "seccomp=FILE|default|docker|unconfined, no-new-privileges[=BOOL]", "--security-opt seccomp=docker",
	      .values = WORDS("seccomp=", "no-new-privileges", "no-new-privileges="),
	      .planned_values = WORDS("seccomp=strict", "apparmor=", "label=", "systempaths=")),
	PLANNED(CONFINEMENT, "privileged", 0, NULL, "all capabilities of the user namespace, no filter, no masks"),
	PLANNED(CONFINEMENT, "device", 0, "PATH[:DST]", "a device node of the host"),
	PLANNED(CONFINEMENT, "device-cgroup-rule", 0, "RULE", "devices that may be used"),
	PLANNED(CONFINEMENT, "masked-path", 0, "PATH", "hide a path"),
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
	PLANNED(NETWORK, "dns", 0, "ADDRESS", "name server inside"),
	PLANNED(NETWORK, "add-host", 0, "NAME:ADDRESS", "a line of /etc/hosts inside"),
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
	PLANNED(OBSERVE, "log-driver", 0, "DRIVER", "where output is kept"),
	PLANNED(OBSERVE, "audit-log", 0, "FILE", "one record of every launch and refusal"),
};

const size_t option_rows_count = ARRAY_LEN(option_rows);
