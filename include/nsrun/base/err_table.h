/* SPDX-License-Identifier: Apache-2.0 */
/* ERR_ID(symbol, word, remedy): every cause nsrun can name. Included several times: no include guard. */
ERR_ID(NONE, "", "")
ERR_ID(NO_SUBID_RANGE, "no-subid-range",
       "give the user 65536 ids that no line of /etc/subuid and /etc/subgid has: usermod --add-subuids FIRST-LAST "
       "--add-subgids FIRST-LAST USER; or use --userns-remap auto as root")
ERR_ID(SUBID_MALFORMED, "subid-malformed",
       "correct the line; each is NAME-OR-UID:FIRST:COUNT with decimal numbers below 4294967295 (subuid(5))")
ERR_ID(SUBID_OVERLAP, "subid-overlap",
       "give each user a range of its own: two users that share host ids are not isolated from each other")
ERR_ID(SUBID_EXHAUSTED, "subid-exhausted",
       "end containers that are no longer needed, run nsrun gc, or give user nsremap a larger range in "
       "/etc/subuid and /etc/subgid")
ERR_ID(UNKNOWN_USER, "unknown-user", "name a user of /etc/passwd, or give a number")
ERR_ID(RANGE_NOT_OWNED, "range-not-owned",
       "only root, or the user who owns the subordinate range, may use it; leave --userns-remap away to use your own")
ERR_ID(MAP_HOST_ROOT, "map-host-root",
       "id 0 outside is root of the host, or of the user namespace that nsrun runs in: a map that reaches it protects "
       "nothing from the container; begin the range at another id, or say --userns=host when that is meant")
ERR_ID(NEWIDMAP_MISSING, "newidmap-missing", "install the package uidmap (Debian) or shadow-utils")
ERR_ID(NEWIDMAP_NOT_SETUID, "newidmap-not-setuid",
       "newuidmap and newgidmap need the set-uid bit or file capabilities, on a file system without nosuid: "
       "chmod u+s $(command -v newuidmap newgidmap)")
ERR_ID(USERNS_DISABLED, "userns-disabled",
       "user namespaces are switched off: see user.max_user_namespaces and kernel.unprivileged_userns_clone "
       "(sysctl(8)), and the boot parameter user_namespace.enable")
ERR_ID(USERNS_APPARMOR, "userns-apparmor",
       "AppArmor forbids user namespaces to unprivileged programs: give nsrun a profile with `userns,`, or set "
       "kernel.apparmor_restrict_unprivileged_userns=0")
ERR_ID(USERNS_CHROOT, "userns-chroot",
       "a process inside a chroot may not make a user namespace (user_namespaces(7)): enter the tree by pivot_root instead")
ERR_ID(ROOTFS_MISSING, "rootfs-missing", "make one with rootfs-scripts/busybox DIR (or debian, oci, docker-export there), or name an existing "
       "directory; there is no image store")
ERR_ID(ROOTFS_OWNER, "rootfs-owner",
       "one of: a rootfs owned by the range (rootfs-scripts/busybox --owner USER DIR); a rootfs below a directory that other users "
       "cannot search (chmod 700 PARENT); --read-only or --ephemeral; --trust-rootfs if every user of this host may be trusted with "
       "what the container writes")
ERR_ID(ROOTFS_FOREIGN, "rootfs-foreign",
       "the tree belongs to ids outside of the container's map: make it for the range (rootfs-scripts/busybox "
       "--owner USER DIR), or choose the range that owns it with --userns-remap")
ERR_ID(NOT_IDMAPPABLE, "not-idmappable",
       "this file system has no idmapped mounts (mount_setattr(2)): use a tree that the range owns, keep it on ext4, xfs or btrfs, or, for a rootfs, --ephemeral")
ERR_ID(VOLUME_OWNER, "volume-owner",
       "mount it read-only (:ro); or keep it below a directory that other users cannot search (chmod 700 PARENT); or :idmap=root if every "
       "user of this host may be trusted with what the container writes")
ERR_ID(PROC_OVERMOUNTED, "proc-overmounted",
       "something is mounted over parts of /proc, so the kernel refuses a new procfs in a user namespace (mount_too_revealing, "
       "user_namespaces(7)): see findmnt --submounts /proc; unmount it, run nsrun where /proc is whole, or, as root, --userns=host; inside a container: "
       "--privileged for the one around (Docker also: --security-opt systempaths=unconfined)")
ERR_ID(NO_DELEGATION, "no-delegation",
       "an ordinary user needs a delegated cgroup: as root, systemctl edit user@.service with [Service] "
       "Delegate=cpu cpuset io memory pids; then log in again and start with systemd-run --user --scope, or let systemd make the group "
       "(--cgroup-manager=systemd, which is the default after a login: docs/cgroups.md)")
ERR_ID(NO_CONTROLLER, "no-controller",
       "the kernel offers no such controller here: see /proc/cgroups and the boot parameters cgroup_disable= and cgroup_enable=; inside a container: limit "
       "the one around, since hierarchies of version 1 are not handed down")
ERR_ID(CMD_NOT_FOUND, "cmd-not-found", "CMD is looked up in the container's PATH: name a file that exists inside the rootfs")
ERR_ID(CMD_NOT_EXECUTABLE, "cmd-not-executable", "CMD must be a file that its user may execute: chmod +x it inside the rootfs, or name another")
ERR_ID(INTERPRETER_MISSING, "interpreter-missing", "the interpreter after #! does not exist inside the rootfs: install it there")
ERR_ID(LOADER_MISSING, "loader-missing",
       "the program is dynamically linked and its ELF loader does not exist inside the rootfs: install the C "
       "library there, or use a static program")
ERR_ID(SCRIPT_CRLF, "script-crlf", "the first line ends in CR LF, so the kernel looks for an interpreter whose name ends in CR: convert the file with dos2unix")
ERR_ID(MOUNT_NOEXEC, "mount-noexec", "the program lies on a mount with noexec: copy it elsewhere, or mount without noexec")
ERR_ID(WRONG_ARCH, "wrong-arch", "the program is made for another architecture or is no program: see file(1)")
ERR_ID(SECCOMP_ORDER, "seccomp-order", "without no_new_privs the filter must permit capset(2), which removes CAP_SYS_ADMIN after loading it: allow capset in the profile, or leave no_new_privs on")
ERR_ID(SECCOMP_GATE, "seccomp-gate",
       "the filter is in force before start is waited for and before hooks.startContainer, as for the workload: permit what the message names in linux.seccomp; nsrun run waits for no start")
ERR_ID(CAP_NOT_HELD, "cap-not-held", "nsrun cannot give what its caller does not have: see capsh --print, or run without --userns=host")
ERR_ID(LIMIT_ABOVE_HARD, "limit-above-hard", "raising a hard limit needs CAP_SYS_RESOURCE in the initial user namespace (setrlimit(2)): ask for less, or raise the caller's limit first")
ERR_ID(SETUID_BINARY, "setuid-binary", "nsrun must not be set-uid or carry file capabilities: chmod u-s, setcap -r; ordinary users need neither")
ERR_ID(NOT_BUILT, "not-built", "README.md has the table of what is built and what is planned")
ERR_ID(UNKNOWN_OPTION, "unknown-option", "nsrun --help lists the options, nsrun COMMAND --help those of a command")
ERR_ID(OPTION_VALUE, "option-value", "nsrun(1) has an example of every option")
ERR_ID(OPTION_ORDER, "option-order", "options come before ROOTFS, or the NAME of exec; write -- between it and a CMD whose name begins with -")
ERR_ID(CGROUP_NOT_MOUNTED, "cgroup-not-mounted", "mount the control groups: mount -t cgroup2 none /sys/fs/cgroup (cgroups(7))")
ERR_ID(CGROUP_READONLY, "cgroup-readonly",
       "the control groups are mounted read-only, as inside most containers: set limits on the outer container, or give it a writable cgroup mount")
ERR_ID(CGROUP_BUSY, "cgroup-busy",
       "a group that holds processes cannot give controllers to groups below it (cgroups(7), no internal processes): move them into one below it, with GROUP the path "
       "that is named: mkdir GROUP/init; for p in $(cat GROUP/cgroup.procs); do echo $p > GROUP/init/cgroup.procs; done; or start nsrun from another group, as "
       "systemd-run --user --scope does")
ERR_ID(LIMIT_NOT_APPLIED, "limit-not-applied",
       "the kernel keeps another value than the one asked for: ask for one that it can represent, and not above the limit of the groups around")
ERR_ID(NO_INTERPRETER_LINE, "no-interpreter-line",
       "begin the script with a line such as #!/bin/sh, or run it as `sh FILE`: a shell falls back to interpreting such a file "
       "itself, the kernel and container runtimes do not")
ERR_ID(OPTION_REPEATED, "option-repeated", "an option with one value may be repeated with the same value only: remove one of them")
ERR_ID(READONLY_REMOUNT, "readonly-remount",
       "leave CAP_SYS_ADMIN away; or --ephemeral for a rootfs; or keep the tree below a directory that other users cannot search")
ERR_ID(ID_NOT_MAPPED, "id-not-mapped",
       "the user or group has no counterpart in the container's map (user_namespaces(7)): choose one inside it (cat /proc/self/uid_map "
       "in a container), or map more ids with --uid-map and --gid-map")
ERR_ID(UNKNOWN_INSIDE, "unknown-inside",
       "names are looked up in the container's own /etc/passwd and /etc/group: name one that is there, or give a number")
ERR_ID(MOUNT_POINT_MISSING, "mount-point-missing",
       "a read-only rootfs is never written, not even for a mount point: make it beforehand (mkdir ROOTFS/PATH), or leave --read-only away; on a file system that is read-only itself --ephemeral does")
ERR_ID(STDIO_DIRECTORY, "stdio-directory",
       "the workload could leave the container through it (/proc/self/fd/N/..): redirect from a file, a pipe or /dev/null")
ERR_ID(SELF_UNPROTECTED, "self-unprotected",
       "a container with the rights of nsrun's owner could overwrite nsrun itself (CVE-2019-5736), and the copy that prevents it could not be "
       "made: see vm.memfd_noexec (sysctl(8)) and the free memory, or install nsrun as root's")
ERR_ID(VOLUME_GROUP, "volume-group", "give it to the owner's own group (chown USER: DIR), or mount it read-only (:ro)")
ERR_ID(STATE_ROOT, "state-root",
       "records of containers are kept where nobody else can put anything: set XDG_RUNTIME_DIR to a directory of your own (a login session has "
       "/run/user/UID), or have root remove what is in the way")
ERR_ID(NEWIDMAP_POWERLESS, "newidmap-powerless",
       "start nsrun from where no_new_privs is off (prctl(2); systemd: NoNewPrivileges=no), or with a single id: --uid-map 0:UID:1 --gid-map 0:GID:1")
ERR_ID(VOLUME_CHANNEL, "volume-channel",
       "read-only does not cover what is behind it, such as an engine that makes containers as root; :idmap=root gives it on purpose")
ERR_ID(NO_CONTAINER, "no-container", "nsrun ls -a lists the containers of this user; names and ids of another user's are not visible")
ERR_ID(NOT_RUNNING, "not-running", "the container has ended: nsrun ls -a, nsrun logs NAME and nsrun inspect NAME tell how; nsrun rm NAME removes its record")
ERR_ID(NAME_IN_USE, "name-in-use", "choose another name, or remove the container that has it: nsrun rm NAME (nsrun rm -f NAME while it runs)")
ERR_ID(NO_CONTROL, "no-control", "only a container that was started with --detach or --name can be attached to or waited for")
ERR_ID(FORBIDDEN_BY_SITE, "forbidden-by-site", "the site file forbids it on this host: leave the option away, or ask who wrote the file")
ERR_ID(NO_TERMINAL, "no-terminal",
       "leave -t away: there is a terminal inside exactly when nsrun has one; script(1) makes one where there is none")
ERR_ID(STATE_FULL, "state-full", "nsrun ls -a shows the records that are kept, nsrun rm removes them; df(1) tells what else fills that file system")
ERR_ID(ULIMIT_TOO_SMALL, "ulimit-too-small",
       "--ulimit holds for the steps of the launch too: nofile from 32 and fsize from 4096 leave room for them; a lower one can be set inside: "
       "sh -c 'ulimit -n 10; exec CMD'")
ERR_ID(MEMORY_TOO_SMALL, "memory-too-small", "the limit holds for the launch too: a container needs about 1m, and what its workload takes")
ERR_ID(SITE_FILE, "site-file", "correct the file; nsrun.json(5) describes it. Nothing is started while the rules of this host cannot be read")
ERR_ID(SETGROUPS_DENIED, "setgroups-denied",
       "give the user subordinate ranges in /etc/subuid and /etc/subgid, so that newgidmap writes the map, or let root start the container")
ERR_ID(SYSCTL_NAMESPACE, "sysctl-namespace",
       "only parameters of the container's own namespaces can be set for it: net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, user.*; "
       "what is the host's is set there with sysctl(8)")
ERR_ID(SYSCTL_REFUSED, "sysctl-refused",
       "this kernel has no such parameter in the namespace, or leaves it to root of the host: sysctl -a inside a container lists those that are there")
ERR_ID(SYSCTL_NOT_KEPT, "sysctl-not-kept", "the kernel keeps another value than the one asked for: ask for one that it can represent")
ERR_ID(OOM_SCORE_LOWER, "oom-score-lower",
       "a score below the lowest that was set with privilege needs CAP_SYS_RESOURCE in the initial user namespace (proc(5), oom_score_adj): ask for a higher one, or let root start the container, in a way that leaves it this capability (capsh --print shows it; inside a container root mostly lacks it)")
ERR_ID(IMAGE_CONFIG, "image-config",
       "it decides what runs, so it must be a file of the caller's or of root's that nobody else can write (chmod go-w, chown); --image-config FILE names "
       "another, --image-config none passes it over")
ERR_ID(NAMESPACE_FOREIGN, "namespace-foreign",
       "an ordinary user may enter the namespaces that belong to a user namespace of their own, such as those of their own containers, all of "
       "one; any other takes root (setns(2)). Joining brings that user namespace's maps: leave --userns-remap, --uid-map and --gid-map away")
ERR_ID(JOIN_DENIED, "join-denied",
       "a namespace may be joined by root, and by who owns the user namespace that owns it (setns(2)): join one of your own containers, or run nsrun as root")
ERR_ID(PAUSED, "paused", "nothing runs in a frozen control group (cgroups(7)): nsrun resume NAME continues it")
ERR_ID(MOUNT_OPTION, "mount-option", "nsrun(1) lists the words that --volume, --mount and --tmpfs take")
ERR_ID(VOLUME_MISSING, "volume-missing",
       "make it first (mkdir): nsrun makes no directory of the host. There is no store of named volumes; a name without a slash is a directory here, as in ./data")
ERR_ID(MOUNT_TARGET, "mount-target",
       "choose another place. What nsrun itself mounts at /proc, /sys and /dev is what programs there must be able to trust; --masked-path hides a part of it, "
       "and new names below /dev, and /dev/shm, may be mounted on")
ERR_ID(PROPAGATION, "propagation",
       "rslave receives what the host mounts; rshared exists without a user namespace alone (--userns=host), since a mount namespace of a less privileged "
       "owner never gives mounts to the one it came from (mount_namespaces(7)). Both need a source on a shared mount (mount(8), shared subtree operations)")
ERR_ID(READONLY_SLAVE, "readonly-slave",
       "what the host mounts later comes as the host has it, writable or not: add bind-recursive=writable if that is meant, or leave rslave away")
ERR_ID(IDMAP_UNAVAILABLE, "idmap-unavailable",
       "run nsrun as root with a remap; for an ordinary user its own files are the container root's without any idmap")
ERR_ID(IDMAP_BELOW, "idmap-below",
       "a tree whose ids are changed comes without what is mounted below it, which others may reach by another path: name each such mount by a --volume of its own")
ERR_ID(VOLUME_CHOWN, "volume-chown",
       "nsrun changes no owner on disk: leave U away, and give the directory to the user that is to own it inside (chown(1)), or run the command as the container's root")
ERR_ID(SELINUX_LABEL, "selinux-label", "label the directory yourself (chcon -t container_file_t), and leave z and Z away")
ERR_ID(MOUNT_SUID, "mount-suid", "with no_new_privs they count for nothing anyway: add --security-opt no-new-privileges=false, or leave suid away")
ERR_ID(MOUNT_DEV, "mount-dev", "leave dev away; the nodes that programs need are in /dev of the container")
ERR_ID(OVERLAY_LAYERS, "overlay-layers",
       "upperdir and workdir are two directories in one directory, on a file system that overlayfs can write to (ext4, xfs, btrfs; tmpfs since Linux 6.6; "
       "no overlay, NFS or FUSE); without upperdir there are two lower directories or more. See the kernel's documentation of overlayfs")
ERR_ID(MASK_MISSING, "mask-missing", "name a path that exists in the container, or leave it away: there is nothing to hide")
ERR_ID(SHARED_BELOW, "shared-below", "mount it elsewhere: a mount below a shared one would be made on the host, too")
ERR_ID(MOUNT_LOCKED, "mount-locked",
       "noexec, nosuid and the access time rule of the host's own mount can be changed by root alone (mount_namespaces(7)): leave exec, suid, noatime, "
       "relatime and strictatime away, or take a source on another mount")
ERR_ID(NESTED_IDS, "nested-ids",
       "give the container around more ids (nsrun --uid-map 0:FIRST:COUNT with a COUNT above 65536 leaves each container inside a full range of "
       "65536), or share its ids: --userns=host; docs/nested.md")
ERR_ID(NESTED_ROOTFS, "nested-rootfs",
       "inside a container no tree can be shown with other owners. One of: --ephemeral, which copies it into memory; a tree that belongs to a range, such "
       "as --owner 4096:4096 of rootfs-scripts makes it, which `nsrun DIR` then uses; --userns=host, to share the ids of the container around")
ERR_ID(NESTED_CAPS, "nested-caps",
       "start the container around with --privileged (docs/nested.md); or call nsrun as one of its ordinary users")
ERR_ID(SECCOMP_AROUND, "seccomp-around",
       "nsrun itself runs under a seccomp filter, that of the container around most likely, and a filter refuses calls in this way: start that container "
       "with --privileged, or with --security-opt seccomp=unconfined (docs/nested.md)")
ERR_ID(STATE_READONLY, "state-readonly",
       "records of containers need a place to write, also beside a read-only root: mount a tmpfs on /run (in a container: --tmpfs /run on the one around), or, as an "
       "ordinary user, set XDG_RUNTIME_DIR to a directory of your own in one")
ERR_ID(GROUP_CONTAINMENT, "group-containment",
       "the container runs in a delegated control group, which processes can be put into from within the same delegation alone (cgroups(7), delegation "
       "containment): start nsrun from there too, as systemd-run --user --scope nsrun exec ... does")
ERR_ID(COPY_NOT_IDMAPPABLE, "copy-not-idmappable",
       "the copy that --ephemeral makes is a tmpfs, which has idmapped mounts since Linux 6.3. Before: a tree that belongs to the container's range, such as "
       "--owner of rootfs-scripts makes it (inside a container --owner 4096:4096), without --ephemeral; a tree on ext4, xfs or btrfs; or --userns=host")
ERR_ID(DEVICE_MISSING, "device-missing",
       "name a device node of the host, as ls -l /dev lists them (the first letter is b or c), or a directory of such; a driver makes its node when it is loaded "
       "(modprobe fuse, modprobe tun)")
ERR_ID(DEVICE_NODEV, "device-nodev",
       "a node opens only on a file system that is not mounted nodev (mount(8)): name the one in /dev, or let root start the container, who makes a node of its own")
ERR_ID(DEVICE_FILTER, "device-filter",
       "device rules take a control group of the container's own, and root of the initial user namespace (CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN; on cgroup v1 its "
       "devices controller, writable). Run nsrun as root there, or leave --device-cgroup-rule and the letters of --device away: a container in a user "
       "namespace makes no device nodes, and opens those that it is given as their owner and mode allow")
ERR_ID(DEVICE_RULES_V1, "device-rules-v1",
       "the controller of cgroup v1 cannot take a part out of a rule: write the rules without that, or mount cgroup2 on this host, where a program decides")

ERR_ID(NO_CGROUP, "no-cgroup",
       "without one a container can be neither paused, measured nor limited: root's have one where a hierarchy is mounted and writable; for an ordinary user it "
       "needs delegation: as root, systemctl edit user@.service with [Service] Delegate=cpu cpuset io memory pids; then log in again and start with "
       "systemd-run --user --scope")
ERR_ID(UNFREEZABLE, "unfreezable",
       "a process that sleeps uninterruptibly, as in a read from a file system that does not answer, cannot be frozen: `nsrun top NAME` shows it in "
       "state D; try again when it goes on, or nsrun kill NAME")
ERR_ID(FROZEN_AROUND, "frozen-around",
       "a group around the container's is frozen, and whoever froze it must thaw it: cat cgroup.freeze in each directory above the one that nsrun inspect "
       "NAME shows as its cgroup")

ERR_ID(V1_ONLY, "v1-only",
       "only a v1 hierarchy of the controller has such a file (cgroups(7)): on a host that has it on cgroup v2 leave the limit away, or use what is named here")
ERR_ID(V2_ONLY, "v2-only",
       "a file of cgroup v2 exists where the controller is on v2: use the option of the limit itself, which is written to v1 too, or boot with cgroup_no_v1=all (systemd: "
       "systemd.unified_cgroup_hierarchy=1)")
ERR_ID(NOT_DELEGATED, "not-delegated",
       "as root, systemctl edit user@.service with [Service] Delegate=cpu cpuset io memory pids; then log in again and start with systemd-run --user --scope. "
       "systemd delegates no other controllers to users: limits by those take root")
ERR_ID(LIMIT_NO_FILE, "limit-no-file",
       "the kernel is built or booted without it (cgroup-v2.rst and cgroup-v1 in the kernel's documentation name the parameter), or the name of the key is wrong: ls in the directory "
       "that is named shows the files that there are")
ERR_ID(LIMIT_BELOW_USE, "limit-below-use",
       "ask for more, or end some of its processes first; on cgroup v2 nsrun update --force writes the limit all the same, and the kernel kills until the rest fits")
ERR_ID(NO_V1_GROUP, "no-v1-group",
       "the container was started without any limit of this v1 controller, so it has no group there, and running processes are not moved: start it with one")
ERR_ID(CPUSET, "cpuset",
       "name what is there: /sys/devices/system/cpu/online lists the processors, /sys/devices/system/node/has_memory the nodes with memory (cpuset(7), List format)")
ERR_ID(BLOCK_DEVICE, "block-device",
       "name a whole disk: lsblk -d lists them with their numbers; a file system on several of them (LVM, RAID) has a device of its own")
ERR_ID(HUGE_PAGES, "huge-pages",
       "/sys/kernel/mm/hugepages has a directory for each size of huge pages; others are a matter of the processor and the boot parameter hugepagesz=")
ERR_ID(CGROUP_FILE, "cgroup-file",
       "--cgroup takes the files of cgroup v2 that set something, each by its name and the text that is written to it: the kernel's cgroup-v2.rst lists them")
ERR_ID(SYSTEMD_LIBRARY, "systemd-library",
       "the systemd manager is spoken to by libsystemd.so.0, which is loaded when it is needed: install the package libsystemd0 (systemd-libs elsewhere), or "
       "leave the groups to nsrun itself: --cgroup-manager=cgroupfs")
ERR_ID(SYSTEMD_ABSENT, "systemd-absent",
       "the systemd manager needs systemd as PID 1 and its D-Bus socket: for root /run/dbus/system_bus_socket, for an ordinary user $XDG_RUNTIME_DIR/bus, which a "
       "login (not su) with the packages dbus-user-session and libpam-systemd makes. Without: --cgroup-manager=cgroupfs")
ERR_ID(SYSTEMD_FOREIGN, "systemd-foreign",
       "it would take process ids and users of this container for its own: groups of containers in containers are made by --cgroup-manager=cgroupfs, where the one "
       "around delegates (docs/nested.md)")
ERR_ID(SYSTEMD_DENIED, "systemd-denied",
       "the system's manager obeys root, a user's manager that user: run nsrun as the user whose manager it is, without sudo -E or su, which keep another "
       "user's $DBUS_SESSION_BUS_ADDRESS")
ERR_ID(SYSTEMD_FAILED, "systemd-failed",
       "the journal has systemd's own reason: journalctl -b -u UNIT (for an ordinary user journalctl --user -b -u UNIT). An ordinary user's processes are "
       "moved by the user's manager together with the system's, over the system bus, which must run (package dbus)")
ERR_ID(CGROUP_MANAGER, "cgroup-manager",
       "--cgroup-manager is one of auto, cgroupfs, systemd and disabled; docs/cgroups.md tells what each does")
ERR_ID(CGROUP_PARENT_OUTSIDE, "cgroup-parent-outside",
       "name a group below the one that is yours, or, without a leading slash, one below nsrun's own there; a group elsewhere has to be given away by root: the directory, "
       "cgroup.procs, cgroup.subtree_control and cgroup.threads of it and of the group around both (cgroups(7), delegation)")
ERR_ID(NSDELEGATE, "nsdelegate",
       "as root: mount -o remount,nsdelegate, with the path that is named (systemd mounts it so): then the kernel keeps the limits of a cgroup namespace's root from who is in "
       "it (cgroups(7)); or leave the limits or the option away")
ERR_ID(CGROUP_PARENT, "cgroup-parent",
       "name a group by its path, as /jobs or, below nsrun's own, jobs/night: no \"..\", no file of a hierarchy such as tasks; docs/delegation.md tells where groups are")
ERR_ID(IO_WEIGHT, "io-weight",
       "as root: echo bfq > /sys/block/DISK/queue/scheduler (modprobe bfq), or switch on io.cost.qos for the disk (cgroup-v2.rst); --device-write-bps and its like need neither")
ERR_ID(FROZEN_INSIDE, "frozen-inside",
       "a container with writable-cgroups can freeze itself: write 0 to cgroup.freeze of that group (/proc/PID/cgroup of the PID that nsrun ls shows), or end it with nsrun kill")
ERR_ID(LIMITS_FROM_BELOW, "limits-from-below",
       "let root start it (--userns-remap: the files of the limits stay root's); or, for groups of its own below, --security-opt writable-cgroups with neither "
       "--privileged, --cap-add SYS_ADMIN nor seccomp=unconfined; or leave the limits out here and set them on a group around it: systemctl --user "
       "set-property nsrun-jobs.slice MemoryMax=64M, then --cgroup-manager=systemd --cgroup-parent nsrun-jobs.slice")

ERR_ID(LIMIT_REFUSED, "limit-refused",
       "the kernel took nothing: the file is named, and the error of write(2) says why; cgroup-v2.rst and the documentation of cgroup v1 tell what each file takes, and "
       "which can be written. No limit is \"max\" on v2, and none may be above those of the groups around")
ERR_ID(DEVICE_RULE, "device-rule",
       "write each as TYPE MAJOR:MINOR ACCESS, as in --device-cgroup-rule \"c 10:200 rwm\": ls -l /dev shows the type and the numbers of a node; * stands for all numbers, "
       "so that one rule is enough for all nodes of a driver")
ERR_ID(DEVICE_TWICE, "device-twice",
       "leave one of them away, or give it a place of its own inside: --device PATH:DST; the letters of one --device tell all that may be done with it")
ERR_ID(MOUNT_KIND, "mount-kind",
       "a file and a device node are mounted on a file, a directory on a directory: name another path inside, as /etc/x for a file in the directory /etc")
ERR_ID(DEVICE_MANY, "device-many", "name the nodes one by one, or a directory that has little but these, as /dev/snd")
ERR_ID(LIMIT_CONTRADICTS, "limit-contradicts", "two options set the same file of the control group: leave one of them away")
ERR_ID(CGROUP_NAMESPACE, "cgroup-namespace",
       "leave --cgroupns away (private is the default with limits of its own), or give the container no writable control groups")
ERR_ID(NOT_PAUSED, "not-paused", "nsrun ls shows which containers are paused; nsrun pause NAME pauses one that runs")
ERR_ID(NO_LIMIT_SAID, "no-limit-said", "say what is to change, as in nsrun update -m 512m NAME; nsrun update --help lists the limits")

ERR_ID(SCHEDULER, "scheduler",
       "more than this process has (a real-time or deadline policy, a lower nice value, a real-time I/O class) takes CAP_SYS_NICE in the initial user namespace, or "
       "limits that allow it (ulimit -r, -e); a deadline takes all processors of its root domain, so no cpuset (sched(7), ioprio_set(2))")
ERR_ID(MEMORY_POLICY, "memory-policy",
       "name nodes that have memory and that the container's cpuset allows (/sys/devices/system/node/has_memory), and a mode and flags that this kernel knows and that go "
       "together (set_mempolicy(2)); MPOL_WEIGHTED_INTERLEAVE is of Linux 6.9")
ERR_ID(LSM_ABSENT, "lsm-absent",
       "the security module is not active here: /sys/kernel/security/lsm lists those that are; the kernel's parameter lsm= (AppArmor also apparmor=1 security=apparmor, SELinux "
       "security=selinux selinux=1) switches it on, and it takes a loaded policy. Or leave the field away")
ERR_ID(LSM_DENIED, "lsm-denied",
       "the policy that holds for nsrun itself does not let it change to that label: its log (dmesg, journalctl -k, ausearch -m avc) names the rule")
ERR_ID(APPARMOR_PROFILE, "apparmor-profile",
       "the profile is not loaded: apparmor_parser -r FILE loads one, /sys/kernel/security/apparmor/profiles lists those that are")
ERR_ID(SELINUX_CONTEXT, "selinux-context",
       "the loaded policy has no such context: seinfo -t and -u list its types and users; the form is USER:ROLE:TYPE:LEVEL")
ERR_ID(LABEL_EXEC, "label-exec",
       "the security policy refuses what this label or the change to it takes; its log (dmesg, journalctl -k, ausearch -m avc) has the rule. SELinux: the file is an entrypoint "
       "of the type, and with noNewPrivileges or on a mount with nosuid also process2 nnp_transition, nosuid_transition.")
ERR_ID(RESCTRL, "resctrl",
       "it takes a processor with Intel RDT or AMD QoS (rdt_a, cat_l3, mba in /proc/cpuinfo) and the file system: as root, mount -t resctrl resctrl /sys/fs/resctrl")
ERR_ID(RESCTRL_GROUP, "resctrl-group",
       "linux.intelRdt with a closID and no schemata joins a group that somebody else has made: mkdir in /sys/fs/resctrl, or add schemata, so that it is made")
ERR_ID(RESCTRL_REFUSED, "resctrl-refused",
       "resctrl.rst in the kernel's documentation tells what a line may have; info/ in /sys/fs/resctrl shows the masks, the least bandwidth and how many groups there can be (num_closids, "
       "num_rmids)")
ERR_ID(RESCTRL_DIFFERS, "resctrl-differs",
       "two containers of one closID have the same schemata: say what the group has, another closID, or closID alone to join it as it is")
ERR_ID(NETDEV_MISSING, "netdev-missing",
       "ip link lists the devices of the network namespace in which nsrun runs; only those can be moved")
ERR_ID(NETDEV_TAKEN, "netdev-taken",
       "give it another \"name\", or one that ends in %d: the kernel then takes the first number that is free")
ERR_ID(NETDEV_DENIED, "netdev-denied",
       "moving a device takes CAP_NET_ADMIN over the network namespaces of both sides, so root of the initial user namespace for a device of the host")
ERR_ID(SECCOMP_LISTENER, "seccomp-listener",
       "linux.seccomp.listenerPath is a unix stream socket on which somebody accepts and reads: start the agent first; the path has fewer than 108 bytes, and the caller may write to it")

ERR_ID(KEY_QUOTA, "key-quota",
       "each container of a caller has a session keyring of its own, and an ordinary user may have 200 keys: end some, or raise the limit for all users, "
       "sysctl kernel.keys.maxkeys=2000 (keyrings(7)); /proc/key-users shows who has how many")
ERR_ID(REALTIME_GROUP, "realtime-group",
       "where the kernel has CONFIG_RT_GROUP_SCHED a process of a real-time policy enters a cpu group of cgroup v1 only if that has time for it: "
       "linux.resources.cpu.realtimeRuntime, which the groups around (cpu.rt_runtime_us) must have, too")
ERR_ID(WITHOUT, "without",
       "rows that can be left out: nsrun help without lists them; nsrun --dry-run shows the rows of a launch")
ERR_ID(WITHOUT_HOST, "without-host",
       "what a row keeps from the container would be taken from the host itself: leave --userns=host away")
ERR_ID(RECORD_DAMAGED, "record-damaged",
       "nsrun delete --force ID ends and removes all that is left of a bundle's container without its record; of another one end what is left by hand, then remove the directory")


ERR_ID(LAB_DATA, "lab-data",
       "chapters and rootfs-scripts lie beside the program's source tree, or where it was installed (share/nsrun); NSRUN_DATA_DIR=DIR names another place, "
       "--chapters DIR one for chapters alone")
ERR_ID(LAB_ROOTFS, "lab-rootfs",
       "the lab's rootfs is made from the host's static busybox and bash: apt-get install busybox-static bash-static (no network is needed afterwards)")
ERR_ID(LAB_BUSY, "lab-busy",
       "one lab at a time in one directory: end the other one, or give this one a directory of its own, NSRUN_LAB_DIR=DIR")
ERR_ID(LAB_CHAPTER, "lab-chapter", "nsrun lab list has all chapters")
