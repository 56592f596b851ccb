/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * The score: every row of a launch, in global time order. Included several times: no include guard.
 *
 * STEP(symbol, "name", role, peer, kind, wanted, run, undo, NEEDS(...), "interface", "manual", "why")
 *
 * A row runs in the process of its role. A row that is not wanted by the plan is not there at all. A sync is wanted when a row
 * after it, in the process that waits, needs a row before it in the process that sends; nobody adds one by hand.
 * Rows of the runtime that acquire something have an undo, and those run in reverse when the launch fails or the container ends.
 */

/* ---- the runtime makes what init will be put into ---- */
STEP(STATE_RECORD, "state.record", ROLE_RUNTIME, 0, STEP_ACTION, NULL, runtime_state_record, NULL, NEEDS(STEP_NONE),
     "rename", "rename(2)",
     "Writes what will be made into the state directory before it is made, so that it is found after a SIGKILL at any later row.")
STEP(CID_WRITE, "cid.write", ROLE_RUNTIME, 0, STEP_ACTION, wants_cidfile, runtime_cid_write, runtime_cid_remove,
     NEEDS(STEP_STATE_RECORD), "openat", "open(2)",
     "--cidfile: a file that exists is refused, so that of two containers none is lost. It stays, unless the launch fails.")
STEP(GATE_OPEN, "gate.open", ROLE_RUNTIME, 0, STEP_ACTION, wants_gate, runtime_gate_open, runtime_gate_close,
     NEEDS(STEP_STATE_RECORD), "mknodat", "fifo(7)",
     "create: a fifo in the state directory, which its owner alone can search; init inherits it and waits there for start. Beside it the tape becomes a file, by which start learns what failed.")
STEP(NOTIFY_LISTEN, "notify.listen", ROLE_RUNTIME, 0, STEP_ACTION, wants_notify, runtime_notify_listen, runtime_notify_close,
     NEEDS(STEP_STATE_RECORD), "mkdirat bind", "sd_notify(3)",
     "NOTIFY_SOCKET: a directory with a socket of nsrun's own, which mounts.all binds at /run/notify; the supervisor's would let the workload speak for processes of the host. Of create the directory alone: start listens there.")
STEP(LOG_OPEN, "log.open", ROLE_RUNTIME, 0, STEP_ACTION, wants_log, runtime_log_open, runtime_log_close,
     NEEDS(STEP_STATE_RECORD), "openat", "open(2)",
     "Before the workload: a log that cannot be written is known before there is anything to log.")
STEP(CONTROL_LISTEN, "control.listen", ROLE_RUNTIME, 0, STEP_ACTION, wants_control, runtime_control_listen, runtime_control_close,
     NEEDS(STEP_STATE_RECORD), "bind", "unix(7)",
     "nsrun attach and nsrun wait come by this socket, in a directory that the owner alone can search.")
STEP(OUTPUT_OPEN, "output.open", ROLE_RUNTIME, 0, STEP_ACTION, wants_output_pipes, runtime_output_open, runtime_output_close,
     NEEDS(STEP_NONE), "pipe2", "pipe(7)",
     "Standard output and error go through pipes where a log or attached clients have them, too. They are given to container root, who may open /dev/stdout by name.")
STEP(CGROUP_CREATE, "cgroup.create", ROLE_RUNTIME, 0, STEP_ACTION, wants_cgroup, runtime_cgroup_create, runtime_cgroup_remove,
     NEEDS(STEP_STATE_RECORD), "mkdirat", "cgroups(7)",
     "The group must exist before clone3 can place init into it; moving a process later waits for an RCU grace period.")
STEP(CGROUP_LIMITS, "cgroup.limits", ROLE_RUNTIME, 0, STEP_ACTION, wants_limits, runtime_cgroup_limits, NULL,
     NEEDS(STEP_CGROUP_CREATE), "mkdirat openat write", "cgroups(7)",
     "Limits hold from the first instruction of init only if they are written before it is there. Removed with the group.")
STEP(DEVICES_FILTER, "devices.filter", ROLE_RUNTIME, 0, STEP_ACTION, wants_device_filter, runtime_devices_filter, NULL,
     NEEDS(STEP_CGROUP_CREATE), "bpf", "bpf(2)",
     "Which device nodes the group may open and make; before anybody is in it. On cgroup v2 a program that the kernel asks, on v1 files of the devices controller; either goes with the group. Where a user namespace lets no node be made and no --device gives one, there is nothing to filter, and no row.")
STEP(CGROUP_OPEN, "cgroup.open", ROLE_RUNTIME, 0, STEP_ACTION, wants_v1_groups, runtime_cgroup_open, runtime_cgroup_close,
     NEEDS(STEP_CGROUP_LIMITS, STEP_DEVICES_FILTER), "openat", "cgroups(7)",
     "The files by which init enters the v1 groups: the kernel asks for the rights of who opened them, which init will not have. Root has cgroup.open-late instead.")
STEP(CGROUP_DELEGATE, "cgroup.delegate", ROLE_RUNTIME, 0, STEP_ACTION, wants_cgroup_delegate, runtime_cgroup_delegate, NULL,
     NEEDS(STEP_CGROUP_CREATE, STEP_CGROUP_LIMITS), "fchownat", "cgroups(7)",
     "--privileged, --security-opt writable-cgroups: container root may make groups below its own, move its processes there and limit them by the controllers that the host offers: the files that /sys/kernel/cgroup/delegate lists become its own. The limits of the group itself stay the host's.")
STEP(NAMESPACES_OPEN, "namespaces.open", ROLE_RUNTIME, 0, STEP_ACTION, plan_joins, runtime_namespaces_open, runtime_namespaces_close,
     NEEDS(STEP_NONE), "openat ioctl", "ioctl_ns(2)",
     "Namespaces to be joined are pinned as descriptors, each compared with the one that was checked: a number or path that means another one by now is noticed.")
STEP(ROOTFS_OPEN, "rootfs.open", ROLE_RUNTIME, 0, STEP_ACTION, runtime_opens, runtime_rootfs_open, runtime_rootfs_close,
     NEEDS(STEP_NONE), "open_tree", "open_tree(2)",
     "Clones the rootfs' mount with the caller's right to search the way to it; the clone crosses into init's namespaces, its path does not matter any more.")
STEP(ROOTFS_OVERLAY, "rootfs.overlay", ROLE_RUNTIME, 0, STEP_ACTION, wants_overlay_outside, runtime_rootfs_overlay, NULL,
     NEEDS(STEP_ROOTFS_OPEN), "clone fsmount", "mount(2)",
     "--ephemeral before Linux 6.6: tmpfs has no user.* attributes, without which overlayfs in a user namespace can replace no directory (EIO); with the runtime's privileges it uses trusted.* ones.")
STEP(VOLUMES_OPEN, "volumes.open", ROLE_RUNTIME, 0, STEP_ACTION, runtime_opens_volumes, runtime_volumes_open, runtime_volumes_close,
     NEEDS(STEP_NOTIFY_LISTEN), "open_tree", "open_tree(2)",
     "The directories and files of the host that volumes, and the layers of overlays, are made of: pinned as descriptors, so that an exchange of the path after the check changes nothing.")
STEP(VOLUMES_OWNER, "volumes.owner", ROLE_RUNTIME, 0, STEP_ACTION, wants_owner_volumes, runtime_volumes_owner, NULL,
     NEEDS(STEP_VOLUMES_OPEN), "mount_setattr", "mount_setattr(2)",
     "An ordinary user's volume shows its owner as container root and grants no other id (idmap=uids= grants what it says): its map is not the container's, so a user namespace of its own carries it.")
STEP(DEVICES_MAKE, "devices.make", ROLE_RUNTIME, 0, STEP_ACTION, runtime_makes_devices, runtime_devices_make, runtime_devices_drop,
     NEEDS(STEP_NONE), "mknodat", "mknod(2)",
     "Root's --device: nodes of the container's own, with the host's numbers and modes, which its ids own. In a tmpfs of the initial user namespace: on one that another namespace mounts no device opens (SB_I_NODEV).")
STEP(PROC_PROVIDE, "proc.provide", ROLE_RUNTIME, 0, STEP_ACTION, wants_proc_provided, runtime_proc_provide, runtime_proc_drop,
     NEEDS(STEP_NONE), "fsmount", "proc(5)",
     "--pid=host under remapping: a procfs takes CAP_SYS_ADMIN over the pid namespace's owner, which init lacks; a detached mount crosses by inheritance. Of a joined namespace the process that enters it makes one: init.clone.")
STEP(SYS_PROVIDE, "sys.provide", ROLE_RUNTIME, 0, STEP_ACTION, wants_sys_provided, runtime_sys_provide, runtime_sys_drop,
     NEEDS(STEP_NONE), "fsmount", "sysfs(5)",
     "--network=host under remapping: the same for sysfs and the owner of the network namespace.")
STEP(MQUEUE_PROVIDE, "mqueue.provide", ROLE_RUNTIME, 0, STEP_ACTION, wants_mqueue_provided, runtime_mqueue_provide, runtime_mqueue_drop,
     NEEDS(STEP_NONE), "fsmount", "mq_overview(7)",
     "--ipc=host under remapping: the same for mqueue and the owner of the ipc namespace.")
STEP(CGROUP_PROVIDE, "cgroup.provide", ROLE_RUNTIME, 0, STEP_ACTION, wants_cgroup_provided, runtime_cgroup_provide, runtime_cgroup_drop,
     NEEDS(STEP_NONE), "fsmount", "cgroup_namespaces(7)",
     "--cgroupns=host under remapping: the same for cgroup2 and the owner of the cgroup namespace.")
STEP(CONTAINER_OPEN, "container.open", ROLE_RUNTIME, 0, STEP_ACTION, enters_container, runtime_container_open, runtime_container_close,
     NEEDS(STEP_NONE), "openat", "cgroups(7)",
     "exec: the group that the process is cloned into must not be frozen, or it would never begin; its cgroup namespace is opened while PID 1 may still be looked at.")
STEP(RDT_CREATE, "rdt.create", ROLE_RUNTIME, 0, STEP_ACTION, wants_rdt, runtime_rdt_create, runtime_rdt_remove,
     NEEDS(STEP_STATE_RECORD), "mkdirat", "proc(5)",
     "linux.intelRdt: a group of the resctrl file system (resctrl.rst) with its schemata, before anybody is in it; one that is there must have the same ones.")
STEP(PROC_KEEP, "proc.keep", ROLE_RUNTIME, 0, STEP_ACTION, wants_proc_kept, runtime_proc_keep, runtime_proc_leave,
     NEEDS(STEP_NONE), "openat fstatfs", "proc(5)",
     "The host's procfs, proven to be one, stays open until fds.close: what lies on /proc of the container may be anything (CVE-2019-16884, CVE-2025-52881).")
STEP(LISTENER_CONNECT, "listener.connect", ROLE_RUNTIME, 0, STEP_ACTION, wants_listener, runtime_listener_connect, runtime_listener_close,
     NEEDS(STEP_NONE), "connect", "unix(7)",
     "linux.seccomp.listenerPath: with the caller's rights and in the caller's tree, which the process that loads the filter has no more. An agent that is not there is an error before anything is made.")
STEP(AFFINITY_START, "affinity.start", ROLE_RUNTIME, 0, STEP_ACTION, wants_initial_affinity, runtime_affinity_start, runtime_affinity_restore,
     NEEDS(STEP_NONE), "sched_setaffinity", "sched_setaffinity(2)",
     "execCPUAffinity.initial: nsrun's own work for the container stays on these processors, and the new process is born on them.")
STEP(CHANNEL_OPEN, "channel.open", ROLE_RUNTIME, 0, STEP_ACTION, NULL, runtime_channel_open, runtime_channel_close,
     NEEDS(STEP_NONE), "socketpair", "unix(7)",
     "SOCK_SEQPACKET keeps messages whole and tells the death of the other side as end of file.")
STEP(INIT_CLONE, "init.clone", ROLE_RUNTIME, ROLE_INIT, STEP_FORK, NULL, runtime_init_clone, runtime_init_kill,
     NEEDS(STEP_CHANNEL_OPEN, STEP_NAMESPACES_OPEN, STEP_CONTAINER_OPEN), "clone3", "clone(2)",
     "All namespaces at once; the user namespace is made first and owns the others. The pidfd cannot be confused with a later process. Joined ones are entered before, by a helper whose clone is the runtime's child (CLONE_PARENT): setns(2) into them is EPERM once inside the new user namespace. exec: all those of one process by one setns(2), undumpable from before on (CVE-2016-9962).")
/* ---- both go on from here; init waits at sync.placed for what only the runtime may do ---- */
STEP(PID_WRITE, "pid.write", ROLE_RUNTIME, 0, STEP_ACTION, wants_pidfile, runtime_pid_write, runtime_pid_remove,
     NEEDS(STEP_INIT_CLONE), "rename", "rename(2)",
     "--pidfile: init's pid on the host, whole or not at all. Removed at the end: by then the number may be another process'.")
STEP(PROCESSES_HOLD, "processes.hold", ROLE_RUNTIME, 0, STEP_ACTION, plan_ends_by_userns, runtime_processes_hold, runtime_processes_end,
     NEEDS(STEP_INIT_CLONE), "openat", "user_namespaces(7)",
     "--pid=host without a group of its own: no PID 1 takes the rest with it. Held, the user namespace tells at the end which processes are the container's: none can leave it.")
STEP(IDS_SETGROUPS, "ids.setgroups", ROLE_RUNTIME, 0, STEP_ACTION, wants_setgroups_denied, runtime_ids_setgroups, NULL,
     NEEDS(STEP_INIT_CLONE), "openat write", "user_namespaces(7)",
     "An unprivileged gid_map is EPERM until setgroups is denied: a process could otherwise drop a group that a file denies access to.")
STEP(IDS_UIDS, "ids.uids", ROLE_RUNTIME, 0, STEP_ACTION, wants_maps, runtime_ids_uids, NULL,
     NEEDS(STEP_INIT_CLONE), "openat write", "user_namespaces(7)",
     "uid_map is written once; by newuidmap where the caller is not privileged over the range.")
STEP(IDS_GIDS, "ids.gids", ROLE_RUNTIME, 0, STEP_ACTION, wants_maps, runtime_ids_gids, NULL,
     NEEDS(STEP_INIT_CLONE), "openat write", "user_namespaces(7)",
     "gid_map likewise, by newgidmap.")
STEP(ROOTFS_IDMAP, "rootfs.idmap", ROLE_RUNTIME, 0, STEP_ACTION, wants_rootfs_idmap, runtime_rootfs_idmap, NULL,
     NEEDS(STEP_ROOTFS_OPEN, STEP_IDS_UIDS, STEP_IDS_GIDS), "mount_setattr", "mount_setattr(2)",
     "Only now: the user namespace must have its maps (EINVAL before), and the mount must not be attached yet.")
STEP(VOLUMES_IDMAP, "volumes.idmap", ROLE_RUNTIME, 0, STEP_ACTION, wants_volumes_idmap, runtime_volumes_idmap, NULL,
     NEEDS(STEP_VOLUMES_OPEN, STEP_IDS_UIDS, STEP_IDS_GIDS), "mount_setattr", "mount_setattr(2)",
     "The same for volumes that belong to host root.")
STEP(RLIMITS_SET, "rlimits.set", ROLE_RUNTIME, 0, STEP_ACTION, wants_rlimits, runtime_rlimits_set, NULL,
     NEEDS(STEP_INIT_CLONE), "prlimit", "prlimit(2)",
     "Raising a hard limit needs CAP_SYS_RESOURCE in the initial user namespace, which init has lost.")
STEP(OOM_SCORE, "oom.score", ROLE_RUNTIME, 0, STEP_ACTION, wants_oom_score, runtime_oom_score, NULL,
     NEEDS(STEP_INIT_CLONE), "openat write", "proc(5)",
     "--oom-score-adj: a lower score needs CAP_SYS_RESOURCE in the initial user namespace, which init has lost. Before ids change, which would make init's files in /proc root's.")
STEP(SCHEDULER_SET, "scheduler.set", ROLE_RUNTIME, 0, STEP_ACTION, wants_scheduler, runtime_scheduler_set, NULL,
     NEEDS(STEP_INIT_CLONE), "sched_setattr", "sched_setattr(2)",
     "process.scheduler: real-time policies and lower nice values take CAP_SYS_NICE in the initial user namespace; without it the process must still be the caller's own by its ids.")
STEP(IO_PRIORITY_SET, "io-priority.set", ROLE_RUNTIME, 0, STEP_ACTION, wants_io_priority, runtime_io_priority_set, NULL,
     NEEDS(STEP_INIT_CLONE), "ioprio_set", "ioprio_set(2)",
     "process.ioPriority: as for the scheduler. What the process starts inherits both.")
STEP(RDT_PLACE, "rdt.place", ROLE_RUNTIME, 0, STEP_ACTION, wants_rdt, runtime_rdt_place, NULL,
     NEEDS(STEP_RDT_CREATE, STEP_INIT_CLONE), "openat write", "proc(5)",
     "By pid, as the file system is the host's; what init starts later is in the group, too.")
STEP(NETDEVS_MOVE, "netdevs.move", ROLE_RUNTIME, 0, STEP_ACTION, wants_netdevs, runtime_netdevs_move, runtime_netdevs_return,
     NEEDS(STEP_INIT_CLONE), "sendmsg", "rtnetlink(7)",
     "linux.netDevices: takes CAP_NET_ADMIN over both sides. Before the hooks, which may look at them. A move takes the addresses from a device and sets it down: it gets both again. A launch that fails brings them back; a container that ran keeps them.")
STEP(SCOPE_START, "scope.start", ROLE_RUNTIME, 0, STEP_ACTION, wants_scope, runtime_scope_start, runtime_scope_stop,
     NEEDS(STEP_STATE_RECORD, STEP_INIT_CLONE), "sendmsg", "org.freedesktop.systemd1(5)",
     "--cgroup-manager=systemd: the group is that of a scope unit, which systemd makes of a process, with the limits as its properties. While the process is the caller's own by its ids: systemd moves no other user's.")
STEP(SCOPE_LIMITS, "scope.limits", ROLE_RUNTIME, 0, STEP_ACTION, wants_scope_limits, runtime_cgroup_limits, NULL,
     NEEDS(STEP_SCOPE_START), "openat write", "cgroups(7)",
     "What systemd has no property for is written here, and all of it is read back: init waits until its limits hold.")
STEP(SCOPE_DELEGATE, "scope.delegate", ROLE_RUNTIME, 0, STEP_ACTION, wants_scope_delegate, runtime_cgroup_delegate, NULL,
     NEEDS(STEP_SCOPE_START, STEP_SCOPE_LIMITS), "fchownat", "cgroups(7)",
     "As cgroup.delegate: the unit has Delegate=yes, so systemd leaves what is below it alone.")
STEP(SCOPE_FILTER, "scope.filter", ROLE_RUNTIME, 0, STEP_ACTION, wants_scope_filter, runtime_devices_filter, NULL,
     NEEDS(STEP_SCOPE_START), "bpf", "bpf(2)",
     "As devices.filter. systemd attaches no program of its own to a unit without DeviceAllow=, and takes none away that is another's.")
STEP(SCOPE_ENTER, "scope.enter", ROLE_RUNTIME, 0, STEP_ACTION, wants_scope_entered, runtime_scope_enter, NULL,
     NEEDS(STEP_INIT_CLONE), "sendmsg", "org.freedesktop.systemd1(5)",
     "exec by an ordinary user from a login session: the group around both is root's, so systemd moves the process (cgroups(7), delegation containment).")
STEP(PARENT_BIND, "parent.bind", ROLE_INIT, 0, STEP_ACTION, NULL, init_parent_bind, NULL, NEEDS(STEP_INIT_CLONE),
     "prctl", "prctl(2)",
     "First of all: when the runtime dies, init dies (PR_SET_PDEATHSIG), also when it died before this row.")
STEP(KEYRING_NEW, "keyring.new", ROLE_INIT, 0, STEP_ACTION, wants_keyring, init_keyring_new, NULL, NEEDS(STEP_INIT_CLONE, STEP_PROC_KEEP),
     "keyctl", "session-keyring(7)",
     "The caller's session keyring is inherited across clone and would be readable inside. Before ids change: the keyring counts to the caller's quota, which for root has no end in practice, "
     "and other containers of the same ids, which would own it, cannot look into it (keyrings(7)). SELinux: with the workload's label, which could not use one of nsrun's.")
STEP(CGROUP_ATTACH, "cgroup.attach", ROLE_INIT, 0, STEP_ACTION, wants_v1_groups, init_cgroup_attach, NULL,
     NEEDS(STEP_CGROUP_OPEN, STEP_INIT_CLONE), "write", "cgroups(7)",
     "A v1 hierarchy cannot be cloned into. Init enters by itself: a move by pid waits for an RCU grace period, some 15 ms, a thread that moves itself does not. While its ids are the caller's: who is not root moves no others.")
STEP(ROOTFS_OPEN_INSIDE, "rootfs.open-inside", ROLE_INIT, 0, STEP_ACTION, init_opens_rootfs, init_rootfs_open, NULL,
     NEEDS(STEP_INIT_CLONE), "open_tree", "open_tree(2)",
     "An ordinary user may clone mounts only in a mount namespace that its user namespace owns; before ids change, which would lose the right to search the way.")
STEP(VOLUMES_OPEN_INSIDE, "volumes.open-inside", ROLE_INIT, 0, STEP_ACTION, init_opens_volumes, init_volumes_open, NULL,
     NEEDS(STEP_INIT_CLONE, STEP_NOTIFY_LISTEN), "open_tree", "open_tree(2)",
     "The same for volumes.")
STEP(DEVICES_OPEN_INSIDE, "devices.open-inside", ROLE_INIT, 0, STEP_ACTION, init_opens_devices, init_devices_open, NULL,
     NEEDS(STEP_INIT_CLONE), "open_tree", "open_tree(2)",
     "--device of those who may not make nodes: the host's own are bound; before ids change, as for volumes. Their numbers are compared with the ones that were checked.")
STEP(SYNC_PLACED, "sync.placed", ROLE_RUNTIME, ROLE_INIT, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "sendmsg", "unix(7)",
     "Maps, idmapped mounts, limits and groups are in place: init may become the container's root.")
STEP(CGROUP_LIMITS_LATE, "cgroup.limits-late", ROLE_RUNTIME, 0, STEP_ACTION, wants_limits_late, runtime_cgroup_limits_late, NULL,
     NEEDS(STEP_CGROUP_CREATE, STEP_INIT_CLONE), "mkdirat openat write", "cgroups(7)",
     "Root's limits in v1 hierarchies, which take 0.3 ms: while init builds the container's view, and before it enters. They hold before the workload's first instruction. Before state.init, by which exec finds these groups.")
STEP(CGROUP_OPEN_LATE, "cgroup.open-late", ROLE_RUNTIME, 0, STEP_ACTION, wants_v1_groups_late, runtime_cgroup_open, runtime_cgroup_close,
     NEEDS(STEP_CGROUP_LIMITS_LATE, STEP_DEVICES_FILTER, STEP_INIT_CLONE), "openat", "cgroups(7)",
     "As cgroup.open; sync.grouped takes them over to init.")
STEP(STATE_INIT, "state.init", ROLE_RUNTIME, 0, STEP_ACTION, NULL, runtime_state_init, NULL,
     NEEDS(STEP_STATE_RECORD, STEP_INIT_CLONE), "pwrite", "pwrite(2)",
     "Init's pid and start time become the lock's text: recovery finds by them what survived without a cgroup of its own, and other commands whom to join. Nobody waits for it: init works meanwhile.")
/* ---- init builds the container's view ---- */
STEP(IDS_BECOME_ROOT, "ids.become-root", ROLE_INIT, 0, STEP_ACTION, wants_userns, init_become_root, NULL,
     NEEDS(STEP_IDS_UIDS, STEP_IDS_GIDS, STEP_RLIMITS_SET, STEP_OOM_SCORE, STEP_SCHEDULER_SET, STEP_IO_PRIORITY_SET, STEP_SCOPE_START, STEP_SCOPE_ENTER), "setresuid", "setresuid(2)",
     "Files that init makes must belong to the container's root. Clears the parent-death signal and dumpable (commit_creds in the kernel).")
STEP(PARENT_REBIND, "parent.rebind", ROLE_INIT, 0, STEP_ACTION, wants_userns, init_parent_rebind, NULL,
     NEEDS(STEP_IDS_BECOME_ROOT), "prctl", "prctl(2)",
     "Sets both again: the bond to the runtime, and dumpable, without which init could not open its own files in /proc.")
STEP(CGROUPNS_ENTER, "cgroupns.enter", ROLE_INIT, 0, STEP_ACTION, wants_cgroupns_entered, init_cgroupns_enter, NULL,
     NEEDS(STEP_CONTAINER_OPEN, STEP_CGROUP_ATTACH, STEP_SCOPE_ENTER), "setns", "cgroup_namespaces(7)",
     "exec: after the process is in its group, since who is in the namespace already may not be moved from outside of its root (ENOENT, nsdelegate).")
STEP(AFFINITY_SET, "affinity.set", ROLE_INIT, 0, STEP_ACTION, wants_affinity, init_affinity_set, NULL,
     NEEDS(STEP_CGROUP_ATTACH, STEP_SCOPE_ENTER), "sched_setaffinity", "sched_setaffinity(2)",
     "execCPUAffinity.final, in the container's cpuset, which the kernel cuts the mask by; without one all of that, since the initial ones are inherited.")
STEP(TIME_NEW, "time.new", ROLE_INIT, 0, STEP_ACTION, wants_time, init_time_new, NULL, NEEDS(STEP_PARENT_REBIND),
     "unshare", "time_namespaces(7)",
     "Not by clone3(2): its first process would be in it at once, and then no offset can be written (EACCES).")
STEP(TIME_OFFSETS, "time.offsets", ROLE_INIT, 0, STEP_ACTION, wants_time_offsets, init_time_offsets, NULL, NEEDS(STEP_TIME_NEW, STEP_PROC_KEEP),
     "openat write", "time_namespaces(7)",
     "In one write(2), while nobody is in it, through the host's procfs, in which this process is itself.")
STEP(TIME_ENTER, "time.enter", ROLE_INIT, 0, STEP_ACTION, wants_time, init_time_enter, NULL, NEEDS(STEP_TIME_NEW, STEP_TIME_OFFSETS),
     "setns", "time_namespaces(7)",
     "unshare(2) is for children, and since 6.1 for execve(2): setns(2) moves this process, which under --init never executes anything.")
STEP(UMASK_SET, "umask.set", ROLE_INIT, 0, STEP_ACTION, NULL, init_umask_set, NULL, NEEDS(STEP_NONE),
     "umask", "umask(2)",
     "022: the caller's own would decide who may use /dev and what the workload's files look like.")
STEP(CONTAINER_ENTER, "container.enter", ROLE_INIT, 0, STEP_ACTION, enters_container, init_container_enter, NULL,
     NEEDS(STEP_INIT_CLONE, STEP_IDS_BECOME_ROOT), "openat2", "proc(5)",
     "exec: finds /proc and /dev/pts of the container, which may have replaced them: each by its file system's own marks, and no path leads elsewhere.")
STEP(MOUNTS_PRIVATE, "mounts.private", ROLE_INIT, 0, STEP_ACTION, wants_root, init_mounts_private, NULL, NEEDS(STEP_NONE),
     "mount", "mount_namespaces(7)",
     "Nothing mounted from here on may propagate to the host, and nothing of the host into the container.")
STEP(ROOTFS_PROTECT, "rootfs.protect", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_rootfs_protect, NULL,
     NEEDS(STEP_ROOTFS_OPEN, STEP_ROOTFS_OPEN_INSIDE, STEP_ROOTFS_IDMAP, STEP_ROOTFS_OVERLAY), "mount_setattr", "mount_setattr(2)",
     "nodev and, with no_new_privs, nosuid; read-only from the start where it was asked for, so that nsrun itself cannot write either.")
STEP(ROOT_ATTACH, "root.attach", ROLE_INIT, 0, STEP_ACTION, wants_root, init_root_attach, NULL,
     NEEDS(STEP_MOUNTS_PRIVATE, STEP_ROOTFS_PROTECT), "move_mount", "move_mount(2)",
     "The clone is moved onto the old root: no path of the host is resolved, so what the way to it allows does not matter.")
STEP(ROOT_ADOPT, "root.adopt", ROLE_INIT, 0, STEP_ACTION, wants_root_joined, init_root_adopt, NULL, NEEDS(STEP_INIT_CLONE),
     "openat2", "mount_namespaces(7)",
     "A joined mount namespace whose own root is root.path: nothing is mounted and nothing pivots, since that would be so for all who are in it. Its /proc and /dev/pts are found as exec finds a container's.")
STEP(ROOT_OVERLAY, "root.overlay", ROLE_INIT, 0, STEP_ACTION, wants_overlay, init_root_overlay, NULL,
     NEEDS(STEP_ROOT_ATTACH), "fsmount", "mount(2)",
     "--ephemeral: an overlay whose upper directory is a tmpfs takes every write; it needs its lower directory attached.")
STEP(PROC_MOUNT, "proc.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_proc_mount, NULL, NEEDS(STEP_ROOT_ATTACH, STEP_PROC_PROVIDE),
     "fsmount", "proc(5)",
     "A procfs of this pid namespace; while the host's is still visible, since the kernel compares with it (mount_too_revealing). Where init may make none it attaches the one of proc.provide, or binds the host's, read-only.")
STEP(SYS_MOUNT, "sys.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_sys_mount, NULL, NEEDS(STEP_ROOT_ATTACH, STEP_SYS_PROVIDE),
     "fsmount", "sysfs(5)",
     "Of this network namespace, in the same three ways; read-only but for --privileged.")
STEP(DEV_MOUNT, "dev.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_dev_mount, NULL, NEEDS(STEP_ROOT_ATTACH),
     "fsmount", "tmpfs(5)",
     "A /dev of its own: whatever the rootfs has there stays covered.")
STEP(DEV_NODES, "dev.nodes", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_dev_nodes, NULL, NEEDS(STEP_DEV_MOUNT),
     "open_tree", "null(4)",
     "The host's nodes are bound by descriptor after their numbers were verified: mknod(2) is EPERM in a user namespace.")
STEP(DEV_LINKS, "dev.links", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_dev_links, NULL, NEEDS(STEP_DEV_MOUNT),
     "symlinkat", "fd(4)",
     "The links that programs expect: fd, stdin, stdout, stderr, ptmx.")
STEP(HOSTNAME_SET, "hostname.set", ROLE_INIT, 0, STEP_ACTION, wants_hostname, init_hostname_set, NULL, NEEDS(STEP_INIT_CLONE),
     "sethostname", "sethostname(2)",
     "By the system call: no file of /proc is needed for it. Only in a namespace of its own: the name of a shared one is not this container's.")
STEP(DOMAINNAME_SET, "domainname.set", ROLE_INIT, 0, STEP_ACTION, wants_domainname, init_domainname_set, NULL, NEEDS(STEP_INIT_CLONE),
     "setdomainname", "setdomainname(2)",
     "--domainname: the NIS domain name, the other name of the uts namespace.")
STEP(ETC_MOUNT, "etc.mount", ROLE_INIT, 0, STEP_ACTION, wants_etc, init_etc_mount, NULL, NEEDS(STEP_HOSTNAME_SET, STEP_DEV_MOUNT),
     "open_tree", "hosts(5)",
     "hosts, hostname and resolv.conf of its own are bound over those of the rootfs, which is not written. Before pts.mount, below which they lie hidden, and before volumes, which win.")
STEP(PTS_MOUNT, "pts.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_pts_mount, NULL, NEEDS(STEP_DEV_MOUNT),
     "fsmount", "pts(4)",
     "A devpts instance of its own: the host's terminals are not in it.")
STEP(SHM_MOUNT, "shm.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_shm_mount, NULL, NEEDS(STEP_DEV_MOUNT),
     "fsmount", "shm_overview(7)",
     "POSIX shared memory: a tmpfs of its own, with --ipc=host the host's.")
STEP(MQUEUE_MOUNT, "mqueue.mount", ROLE_INIT, 0, STEP_ACTION, wants_one_shot, init_mqueue_mount, NULL, NEEDS(STEP_DEV_MOUNT, STEP_MQUEUE_PROVIDE),
     "fsmount", "mq_overview(7)",
     "POSIX message queues of this ipc namespace.")
STEP(LOOPBACK_UP, "loopback.up", ROLE_INIT, 0, STEP_ACTION, wants_loopback, init_loopback_up, NULL, NEEDS(STEP_INIT_CLONE),
     "ioctl", "netdevice(7)",
     "A new network namespace has a loopback device that is down.")
STEP(SYNC_GROUPED, "sync.grouped", ROLE_RUNTIME, ROLE_INIT, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "sendmsg", "unix(7)",
     "Carries the files by which init enters the v1 groups. As late as what follows in the cgroup namespace allows: init rarely waits here.")
STEP(CGROUP_ATTACH_LATE, "cgroup.attach-late", ROLE_INIT, 0, STEP_ACTION, wants_v1_groups_late, init_cgroup_attach, NULL,
     NEEDS(STEP_CGROUP_OPEN_LATE), "write", "cgroups(7)",
     "As cgroup.attach, with the same files: what counts is who opened them, and root may move a process of any ids.")
STEP(CGROUPNS_UNSHARE, "cgroupns.unshare", ROLE_INIT, 0, STEP_ACTION, wants_cgroupns_later, init_cgroupns_unshare, NULL,
     NEEDS(STEP_CGROUP_ATTACH, STEP_CGROUP_ATTACH_LATE, STEP_SCOPE_START), "unshare", "cgroup_namespaces(7)",
     "The namespace's root is the group at the moment of its making: init must be in its v1 groups.")
STEP(CGROUP_MOUNT, "cgroup.mount", ROLE_INIT, 0, STEP_ACTION, wants_cgroup_mount, init_cgroup_mount, NULL,
     NEEDS(STEP_SYS_MOUNT, STEP_CGROUPNS_UNSHARE, STEP_CGROUP_PROVIDE), "fsmount", "cgroups(7)",
     "Programs read their limits there. Read-only, since writing is for the host (CVE-2022-0492), but for --privileged and --security-opt writable-cgroups, which let container root make groups below its own.")
STEP(VOLUMES_MOUNT, "volumes.mount", ROLE_INIT, 0, STEP_ACTION, wants_volumes, init_volumes_mount, NULL,
     NEEDS(STEP_VOLUMES_OPEN, STEP_VOLUMES_OPEN_INSIDE, STEP_VOLUMES_OWNER, STEP_VOLUMES_IDMAP, STEP_SHM_MOUNT), "move_mount", "move_mount(2)",
     "--volume, --mount, --tmpfs: each target is resolved once, inside the root, and mounted on by descriptor: a link in the rootfs leads nowhere else. Parents come before what lies below.")
STEP(MOUNTS_ALL, "mounts.all", ROLE_INIT, 0, STEP_ACTION, wants_bundle_files, init_mounts_all, NULL,
     NEEDS(STEP_ROOT_ATTACH, STEP_VOLUMES_OPEN, STEP_VOLUMES_OPEN_INSIDE, STEP_VOLUMES_OWNER, STEP_VOLUMES_IDMAP, STEP_PROC_PROVIDE, STEP_SYS_PROVIDE, STEP_MQUEUE_PROVIDE, STEP_CGROUP_PROVIDE, STEP_CGROUPNS_UNSHARE), "fsmount move_mount", "mount(8)",
     "The mounts of config.json, in its order. Each destination is resolved once, inside the root, and mounted on by descriptor, as volumes.mount does.")
STEP(NODES_MAKE, "nodes.make", ROLE_INIT, 0, STEP_ACTION, wants_bundle_files, init_nodes_make, NULL, NEEDS(STEP_MOUNTS_ALL),
     "mknodat", "mknod(2)",
     "The default devices of the runtime specification, linux.devices, and the links of /dev; after the mounts, one of which is /dev.")
STEP(DEVICES_PLACE, "devices.place", ROLE_INIT, 0, STEP_ACTION, wants_devices, init_devices_place, NULL,
     NEEDS(STEP_DEVICES_MAKE, STEP_DEVICES_OPEN_INSIDE, STEP_PTS_MOUNT, STEP_SHM_MOUNT, STEP_VOLUMES_MOUNT, STEP_NODES_MAKE), "move_mount", "move_mount(2)",
     "--device: each node is attached where it was asked for, also in a volume; directories on the way to it are made.")
STEP(SYSCTLS_WRITE, "sysctls.write", ROLE_INIT, 0, STEP_ACTION, wants_sysctls, init_sysctls_write, NULL, NEEDS(STEP_PROC_MOUNT),
     "openat2 write", "proc(5)",
     "--sysctl: through the procfs that was just mounted, as container root, whom the kernel lets write what its namespaces cover; before /proc/sys becomes read-only.")
STEP(PATHS_READONLY, "paths.readonly", ROLE_INIT, 0, STEP_ACTION, wants_readonly_paths, init_paths_readonly, NULL, NEEDS(STEP_PROC_MOUNT, STEP_MOUNTS_ALL, STEP_SYSCTLS_WRITE),
     "mount_setattr", "mount_setattr(2)",
     "Kernel settings that are not namespaced stay readable and cannot be written.")
STEP(PATHS_MASK, "paths.mask", ROLE_INIT, 0, STEP_ACTION, wants_masks, init_paths_mask, NULL, NEEDS(STEP_PROC_MOUNT, STEP_SYS_MOUNT, STEP_VOLUMES_MOUNT, STEP_NODES_MAKE, STEP_DEVICES_PLACE),
     "move_mount", "move_mount(2)",
     "What tells about the host's hardware, keys and timing is covered, and what --masked-path names; after the volumes, which may hold such a path.")
STEP(TERMINAL_OPEN, "terminal.open", ROLE_INIT, 0, STEP_ACTION, wants_terminal, init_terminal_open, NULL, NEEDS(STEP_PTS_MOUNT, STEP_MOUNTS_ALL, STEP_CONTAINER_ENTER),
     "ioctl", "ioctl_tty(2)",
     "The pair is made in the container's devpts; its peer comes from the master (TIOCGPTPEER), never from a path (CVE-2025-52565).")
STEP(CONSOLE_BIND, "console.bind", ROLE_INIT, 0, STEP_ACTION, wants_console_bound, init_console_bind, NULL, NEEDS(STEP_TERMINAL_OPEN, STEP_NODES_MAKE),
     "open_tree", "console(4)",
     "/dev/console is the same terminal, bound from its descriptor.")
STEP(SYNC_MOUNTED, "sync.mounted", ROLE_INIT, ROLE_RUNTIME, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "sendmsg", "unix(7)",
     "Carries the pty's master to the runtime.")
STEP(TERMINAL_TAKE, "terminal.take", ROLE_RUNTIME, 0, STEP_ACTION, wants_kept_terminal, runtime_terminal_take, NULL,
     NEEDS(STEP_TERMINAL_OPEN), "fcntl", "fcntl(2)",
     "A keeper has the pty's master and no terminal of its own: it must never wait for either side (O_NONBLOCK).")
STEP(TERMINAL_GUARD, "terminal.guard", ROLE_RUNTIME, 0, STEP_ACTION, wants_user_terminal, runtime_terminal_guard, runtime_terminal_unguard,
     NEEDS(STEP_NONE), "clone", "termios(3)",
     "A process that restores the terminal if the runtime is killed: it must exist before the terminal is changed.")
STEP(TERMINAL_RAW, "terminal.raw", ROLE_RUNTIME, 0, STEP_ACTION, wants_user_terminal, runtime_terminal_raw, runtime_terminal_restore,
     NEEDS(STEP_TERMINAL_OPEN, STEP_TERMINAL_GUARD), "ioctl", "termios(3)",
     "Keys belong to the container's own line discipline from now on.")
STEP(CONSOLE_SEND, "console.send", ROLE_RUNTIME, 0, STEP_ACTION, wants_console_socket, runtime_console_send, NULL,
     NEEDS(STEP_TERMINAL_OPEN), "sendmsg", "unix(7)",
     "--console-socket: the pty's master goes to whoever listens there, who proxies the terminal; the runtime keeps nothing of it.")
STEP(HOOKS_RUNTIME, "hooks.runtime", ROLE_RUNTIME, 0, STEP_ACTION, wants_hooks_runtime, runtime_hooks_run, NULL,
     NEEDS(STEP_ROOT_ATTACH, STEP_ROOT_ADOPT), "execve", "execve(2)",
     "prestart and createRuntime hooks: in the runtime's namespaces, after the container's exist and its files are mounted, before the pivot.")
STEP(SYNC_HOOKED, "sync.hooked", ROLE_RUNTIME, ROLE_INIT, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "sendmsg", "unix(7)",
     "The hooks of the runtime's namespaces have succeeded: init goes on with its own.")
STEP(HOOKS_CONTAINER, "hooks.container", ROLE_INIT, 0, STEP_ACTION, wants_hooks_container, init_hooks_container, NULL,
     NEEDS(STEP_HOOKS_RUNTIME, STEP_ROOT_ATTACH), "execve", "execve(2)",
     "createContainer hooks: in the container's namespaces while their paths still mean the host's tree.")
/* ---- the host's tree goes ---- */
STEP(ROOT_PIVOT, "root.pivot", ROLE_INIT, 0, STEP_ACTION, wants_root, init_root_pivot, NULL,
     NEEDS(STEP_HOOKS_RUNTIME, STEP_HOOKS_CONTAINER, STEP_ROOT_ATTACH, STEP_ROOT_OVERLAY, STEP_PROC_MOUNT, STEP_SYS_MOUNT), "pivot_root", "pivot_root(2)",
     "After everything that needs the host's tree; unlike chroot(2) there is nothing left to climb out to.")
STEP(ROOT_DETACH, "root.detach", ROLE_INIT, 0, STEP_ACTION, wants_root_detach, init_root_detach, NULL, NEEDS(STEP_ROOT_PIVOT),
     "umount2", "pivot_root(2)",
     "The old root lies over the new one and is detached with all its mounts.")
STEP(ROOT_READONLY, "root.readonly", ROLE_INIT, 0, STEP_ACTION, wants_root_readonly, init_root_readonly, NULL,
     NEEDS(STEP_ROOT_PIVOT, STEP_MOUNTS_ALL, STEP_NODES_MAKE, STEP_CONSOLE_BIND, STEP_HOOKS_CONTAINER), "mount_setattr", "mount_setattr(2)",
     "root.readonly, tmpfs mounts with ro, and rootfsPropagation of a bundle: after mount points, nodes and whatever hooks make there; a shared root would be refused by pivot_root(2).")
STEP(USER_RESOLVE, "user.resolve", ROLE_INIT, 0, STEP_ACTION, NULL, init_user_resolve, NULL, NEEDS(STEP_ROOT_DETACH, STEP_CONTAINER_ENTER),
     "openat2", "passwd(5)",
     "Names are the container's own, read without NSS, which would load code of the container.")
STEP(ARGV_RESOLVE, "argv.resolve", ROLE_INIT, 0, STEP_ACTION, NULL, init_argv_resolve, NULL, NEEDS(STEP_ROOT_DETACH, STEP_USER_RESOLVE),
     "faccessat2", "execve(2)",
     "CMD is looked up in the container's PATH; the shell of the user when there is none.")
STEP(WORKLOAD_FORK, "workload.fork", ROLE_INIT, ROLE_WORKLOAD, STEP_FORK, wants_reaper, init_workload_fork, NULL,
     NEEDS(STEP_ARGV_RESOLVE), "clone", "pid_namespaces(7)",
     "--init: this process stays PID 1, reaps orphans and forwards signals; it is made undumpable first, the workload must not look into it. In a shared pid namespace it becomes a subreaper for that.")
/* ---- the workload gives up what it has ---- */
STEP(TERMINAL_ATTACH, "terminal.attach", ROLE_WORKLOAD, 0, STEP_ACTION, wants_terminal, workload_terminal_attach, NULL,
     NEEDS(STEP_TERMINAL_OPEN, STEP_USER_RESOLVE), "ioctl", "ioctl_tty(2)",
     "A new session whose controlling terminal is the pty, on 0, 1 and 2.")
STEP(SESSION_NEW, "session.new", ROLE_WORKLOAD, 0, STEP_ACTION, wants_no_terminal, workload_session_new, NULL, NEEDS(STEP_INIT_CLONE),
     "setsid", "setsid(2)",
     "Without a terminal of its own the workload must not have the caller's: TIOCSTI would type into it.")
STEP(STDIN_NULL, "stdin.null", ROLE_WORKLOAD, 0, STEP_ACTION, wants_stdin_null, workload_stdin_null, NULL, NEEDS(STEP_DEV_NODES),
     "dup3", "null(4)",
     "-i=false: reads are at the end at once.")
STEP(OUTPUT_ATTACH, "output.attach", ROLE_WORKLOAD, 0, STEP_ACTION, wants_output_pipes, workload_output_attach, NULL,
     NEEDS(STEP_OUTPUT_OPEN, STEP_USER_RESOLVE), "dup3", "pipe(7)",
     "The pipes become descriptors 1 and 2, and 0 where clients may type; they are given to the user who opens /dev/stdout by name.")
STEP(SIGNALS_RESET, "signals.reset", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_signals_reset, NULL, NEEDS(STEP_NONE),
     "rt_sigaction", "signal(7)",
     "Ignored signals and the mask survive execve: the workload starts with neither.")
STEP(UMASK_WORKLOAD, "umask.workload", ROLE_WORKLOAD, 0, STEP_ACTION, wants_umask, workload_umask_set, NULL, NEEDS(STEP_UMASK_SET),
     "umask", "umask(2)",
     "--umask, for the workload alone: what nsrun makes before has the modes that it should have.")
STEP(MEMORY_POLICY_SET, "memory-policy.set", ROLE_WORKLOAD, 0, STEP_ACTION, wants_memory_policy, workload_memory_policy_set, NULL,
     NEEDS(STEP_CGROUP_ATTACH), "set_mempolicy", "set_mempolicy(2)",
     "linux.memoryPolicy is of the thread that sets it and survives execve. In the container's cpuset: nodes that it does not allow are refused.")
STEP(PERSONALITY_SET, "personality.set", ROLE_WORKLOAD, 0, STEP_ACTION, wants_personality, workload_personality_set, NULL,
     NEEDS(STEP_NONE), "personality", "personality(2)",
     "linux.personality: survives execve; before the filter, which may deny it.")
STEP(LABELS_SET, "labels.set", ROLE_WORKLOAD, 0, STEP_ACTION, wants_labels, workload_labels_set, NULL,
     NEEDS(STEP_PROC_KEEP), "lsm_set_self_attr", "proc(5)",
     "process.apparmorProfile, selinuxLabel: for the next execve, so after the hooks of create, which are forked and would inherit it, as those of start shall. By lsm_set_self_attr (Linux 6.8), else by the attr file of this thread in the procfs that was kept.")
STEP(LISTENER_DESCRIBE, "listener.describe", ROLE_WORKLOAD, 0, STEP_ACTION, wants_listener, workload_listener_describe, NULL,
     NEEDS(STEP_PROC_KEEP, STEP_LISTENER_CONNECT), "readlinkat", "proc(5)",
     "The container process state for the filter's listener; the pid is the one that the host's procfs has for this process.")
STEP(CAPS_BOUND, "caps.bound", ROLE_WORKLOAD, 0, STEP_ACTION, wants_caps_bound, workload_caps_bound, NULL, NEEDS(STEP_ROOT_DETACH),
     "prctl", "capabilities(7)",
     "While CAP_SETPCAP is still there.")
STEP(CAPS_KEEP, "caps.keep", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_caps_keep, NULL, NEEDS(STEP_NONE),
     "prctl", "capabilities(7)",
     "setresuid from 0 would clear the permitted set, of which the last rows need a part.")
STEP(CREDS_SET, "creds.set", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_creds_set, NULL,
     NEEDS(STEP_USER_RESOLVE, STEP_CAPS_BOUND, STEP_CAPS_KEEP), "setresuid", "credentials(7)",
     "Groups before the user id, which takes away the right to set them.")
STEP(PARENT_KEEP, "parent.keep", ROLE_WORKLOAD, 0, STEP_ACTION, wants_direct_workload, workload_parent_keep, NULL, NEEDS(STEP_CREDS_SET),
     "prctl", "prctl(2)",
     "The change of ids cleared the bond to the runtime once more. Under --init PID 1 takes the workload with it; in a shared pid namespace its child needs the bond.")
STEP(PARENT_RELEASE, "parent.release", ROLE_WORKLOAD, 0, STEP_ACTION, wants_release, workload_parent_release, NULL, NEEDS(STEP_CREDS_SET),
     "prctl", "prctl(2)",
     "exec --detach: the process stays when the nsrun that started it ends; PID 1's end ends it.")
STEP(FDS_CLOSE, "fds.close", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_fds_close, NULL, NEEDS(STEP_PARENT_KEEP, STEP_PARENT_RELEASE),
     "close_range", "close_range(2)",
     "Before the working directory and CMD are resolved: /proc/self/fd leads through every open directory to the host (CVE-2024-21626). Only the channel stays, the gate and the socket of a filter's listener: no directories, and they close at execve.")
STEP(CWD_ENTER, "cwd.enter", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_cwd_enter, NULL, NEEDS(STEP_CREDS_SET, STEP_ROOT_DETACH, STEP_FDS_CLOSE),
     "chdir", "chdir(2)",
     "With the workload's own rights, after the pivot: it cannot be a directory of the host.")
STEP(GATE_RELEASE, "gate.release", ROLE_WORKLOAD, 0, STEP_ACTION, wants_gate, workload_gate_release, NULL,
     NEEDS(STEP_CREDS_SET, STEP_FDS_CLOSE, STEP_CWD_ENTER), "prctl", "prctl(2)",
     "create: init outlives the runtime. The bond between them ends, and the channel's end replaces it until sync.created. Undumpable, so that no process of its own ids may look into what waits; not before the last row that opens files of its own in /proc, which are root's from here on.")
STEP(CAPS_SET, "caps.set", ROLE_WORKLOAD, 0, STEP_ACTION, NULL, workload_caps_set, NULL, NEEDS(STEP_CREDS_SET, STEP_CWD_ENTER),
     "capset", "capabilities(7)",
     "The final sets; where the filter is loaded without no_new_privs, CAP_SYS_ADMIN stays until caps.final.")
STEP(PRIVS_BOUND, "privs.bound", ROLE_WORKLOAD, 0, STEP_ACTION, wants_no_new_privs, workload_no_new_privs, NULL, NEEDS(STEP_CAPS_SET),
     "prctl", "prctl(2)",
     "no_new_privs: set-uid and file capabilities grant nothing any more; also what permits loading a filter without CAP_SYS_ADMIN.")
STEP(SECCOMP_LOAD, "seccomp.load", ROLE_WORKLOAD, 0, STEP_ACTION, wants_seccomp, workload_seccomp_load, NULL,
     NEEDS(STEP_CAPS_SET, STEP_PRIVS_BOUND, STEP_LISTENER_DESCRIBE), "seccomp", "seccomp(2)",
     "As late as can be: the filter sees only what the workload itself calls, execve, and the gate and the hooks where there are such. A listener is sent by a second thread that the filter does not hold: whoever takes it must not have to answer for the sending itself.")
STEP(CAPS_FINAL, "caps.final", ROLE_WORKLOAD, 0, STEP_ACTION, wants_caps_final, workload_caps_final, NULL, NEEDS(STEP_SECCOMP_LOAD),
     "capset", "capabilities(7)",
     "Gives up the CAP_SYS_ADMIN that loading the filter needed.")
/* ---- create ends here, start goes on: nothing is left to be given up ---- */
STEP(SYNC_READY, "sync.ready", ROLE_INIT, ROLE_RUNTIME, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "write", "unix(7)",
     "All that may fail before start has not failed. By write(2), which the filter must permit, as read(2): it is in force.")
STEP(STATE_CREATED, "state.created", ROLE_RUNTIME, 0, STEP_ACTION, wants_gate, runtime_state_created, NULL,
     NEEDS(STEP_STATE_INIT, STEP_GATE_RELEASE, STEP_CAPS_SET, STEP_SECCOMP_LOAD, STEP_CAPS_FINAL), "pwrite", "pwrite(2)",
     "The lock's text says that it was created: from now on nothing but delete removes it.")
STEP(SYNC_CREATED, "sync.created", ROLE_RUNTIME, ROLE_INIT, STEP_SYNC, NULL, NULL, NULL, NEEDS(STEP_NONE),
     "sendmsg", "unix(7)",
     "The last that init hears of the runtime. Without it init ends.")
STEP(GATE_WAIT, "gate.wait", ROLE_WORKLOAD, 0, STEP_ACTION, wants_gate, workload_gate_wait, NULL,
     NEEDS(STEP_GATE_OPEN, STEP_STATE_CREATED, STEP_GATE_RELEASE, STEP_CAPS_SET, STEP_SECCOMP_LOAD, STEP_CAPS_FINAL),
     "read", "fifo(7)",
     "Until somebody says start; what fails after it is told on the tape. What waits is confined as the workload is: who gets hold of it, as a neighbour with CAP_SYS_PTRACE in a shared pid namespace can, has no more than a process of the workload.")
STEP(HOOKS_START, "hooks.start", ROLE_WORKLOAD, 0, STEP_ACTION, wants_hooks_start, workload_hooks_start, NULL,
     NEEDS(STEP_GATE_WAIT, STEP_ROOT_DETACH, STEP_CAPS_SET, STEP_PRIVS_BOUND, STEP_LABELS_SET, STEP_SECCOMP_LOAD, STEP_CAPS_FINAL), "execve", "execve(2)",
     "startContainer hooks: in the container's namespaces and tree, with the workload's ids, capabilities, labels and filter.")
STEP(WORKLOAD_EXEC, "workload.exec", ROLE_WORKLOAD, 0, STEP_EXEC, NULL, workload_exec, NULL,
     NEEDS(STEP_ARGV_RESOLVE, STEP_CAPS_SET, STEP_RLIMITS_SET, STEP_OOM_SCORE, STEP_CGROUP_ATTACH, STEP_PID_WRITE, STEP_PROCESSES_HOLD, STEP_SCOPE_DELEGATE, STEP_SCOPE_FILTER, STEP_SCOPE_LIMITS, STEP_SCOPE_ENTER, STEP_SCHEDULER_SET, STEP_IO_PRIORITY_SET, STEP_RDT_PLACE, STEP_NETDEVS_MOVE),
     "execve", "execve(2)",
     "The close-on-exec channel ends, which tells the runtime that it succeeded.")
/* clang-format on */
