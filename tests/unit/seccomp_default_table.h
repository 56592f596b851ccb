/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What profiles/default.json answers with nsrun's default capabilities: EXPECT(call, action, arguments...). Included by
 * test_seccomp.c alone.
 */
/* popular programs */
EXPECT(read, ALLOW, 0) EXPECT(execve, ALLOW, 0) EXPECT(execveat, ALLOW, 0) EXPECT(mmap, ALLOW, 0)
EXPECT(rseq, ALLOW, 0) EXPECT(membarrier, ALLOW, 0) EXPECT(memfd_create, ALLOW, 0) EXPECT(statx, ALLOW, 0)
EXPECT(faccessat2, ALLOW, 0) EXPECT(openat2, ALLOW, 0) EXPECT(futex_waitv, ALLOW, 0) EXPECT(getrandom, ALLOW, 0)
EXPECT(landlock_create_ruleset, ALLOW, 0) EXPECT(landlock_restrict_self, ALLOW, 0) EXPECT(seccomp, ALLOW, 0)
EXPECT(prctl, ALLOW, 0) EXPECT(arch_prctl, ALLOW, 0) EXPECT(capset, ALLOW, 0) EXPECT(setresuid, ALLOW, 0)
EXPECT(setgroups, ALLOW, 0) EXPECT(chroot, ALLOW, 0) EXPECT(mknod, ALLOW, 0) EXPECT(shmget, ALLOW, 0)
EXPECT(epoll_pwait2, ALLOW, 0) EXPECT(io_setup, ALLOW, 0) EXPECT(sched_setaffinity, ALLOW, 0)
EXPECT(pidfd_open, ALLOW, 0) EXPECT(close_range, ALLOW, 0) EXPECT(copy_file_range, ALLOW, 0)
EXPECT(ptrace, ALLOW, 0) EXPECT(prlimit64, ALLOW, 0) EXPECT(restart_syscall, ALLOW, 0)
EXPECT(name_to_handle_at, ALLOW, 0)
/* sockets */
EXPECT(socket, ALLOW, 1, 1) EXPECT(socket, ALLOW, 2, 1) EXPECT(socket, ALLOW, 10, 2)
EXPECT(socket, ALLOW, 16, 3) EXPECT(socket, ERRNO(EAFNOSUPPORT), 0) EXPECT(socket, ERRNO(EAFNOSUPPORT), 17, 3) /* PACKET */
EXPECT(socket, ERRNO(EAFNOSUPPORT), 38, 5) /* ALG */ EXPECT(socket, ERRNO(EAFNOSUPPORT), 40, 1) /* VSOCK */
EXPECT(socket, ERRNO(EAFNOSUPPORT), 3) EXPECT(socket, ERRNO(EAFNOSUPPORT), 9)
EXPECT(socket, ERRNO(EAFNOSUPPORT), 11) EXPECT(socket, ERRNO(EAFNOSUPPORT), 15)
EXPECT(socket, ERRNO(EAFNOSUPPORT), 0xffffffff) EXPECT(socket, ERRNO(EAFNOSUPPORT), 0x100000026)
EXPECT(socket, ERRNO(EAFNOSUPPORT), 0x100000002) EXPECT(socketpair, ALLOW, 1)
EXPECT(socketpair, ERRNO(EAFNOSUPPORT), 30) /* TIPC */
/* terminals */
EXPECT(ioctl, ALLOW, 0, 0x5401) EXPECT(ioctl, ALLOW, 0, 0x5413) EXPECT(ioctl, ALLOW, 0, 0x541b)
EXPECT(ioctl, ALLOW, 0, 0x8912) EXPECT(ioctl, ALLOW, 0, 0x80045430) EXPECT(ioctl, ALLOW, 0, 0xffffffff80045430)
EXPECT(ioctl, ERRNO(EPERM), 0, 0x5412) EXPECT(ioctl, ERRNO(EPERM), 0, 0x100005412)
EXPECT(ioctl, ERRNO(EPERM), 0, 0xffffffff00005412) EXPECT(ioctl, ERRNO(EPERM), 0, 0x541c)
EXPECT(ioctl, ERRNO(EPERM), 0, 0x10000541c)
/* namespaces */
EXPECT(clone, ALLOW, 0x11) EXPECT(clone, ALLOW, 0x3d0f00) EXPECT(clone, ALLOW, 0x1200011) EXPECT(fork, ALLOW, 0)
EXPECT(clone, ALLOW, 0x4111) /* CLONE_VFORK | CLONE_VM */ EXPECT(clone, ERRNO(EPERM), 0x10000011)
EXPECT(clone, ERRNO(EPERM), 0x20011) EXPECT(clone, ERRNO(EPERM), 0x40000011)
EXPECT(clone, ERRNO(EPERM), 0x7e020000) EXPECT(clone, ERRNO(EPERM), 0x110000000)
EXPECT(clone, ERRNO(EPERM), 0x2000011) EXPECT(clone, ERRNO(EPERM), 0x4000011)
EXPECT(clone, ERRNO(EPERM), 0x8000011) EXPECT(clone, ERRNO(EPERM), 0x20000011) EXPECT(clone3, ERRNO(ENOSYS), 0)
EXPECT(unshare, ERRNO(EPERM), 0x10000000) EXPECT(unshare, ERRNO(EPERM), 0) EXPECT(setns, ERRNO(EPERM), 0)
/* personality */
EXPECT(personality, ALLOW, 0) EXPECT(personality, ALLOW, 8) EXPECT(personality, ALLOW, 0x20000)
EXPECT(personality, ALLOW, 0x20008) EXPECT(personality, ALLOW, 0xffffffff)
EXPECT(personality, ERRNO(EPERM), 0x40000) EXPECT(personality, ERRNO(EPERM), 0x400000)
EXPECT(personality, ERRNO(EPERM), 0x100040000) EXPECT(personality, ERRNO(EPERM), 4)
/* denied */
EXPECT(mount, ERRNO(EPERM), 0) EXPECT(umount2, ERRNO(EPERM), 0) EXPECT(pivot_root, ERRNO(EPERM), 0)
EXPECT(open_tree, ERRNO(EPERM), 0) EXPECT(move_mount, ERRNO(EPERM), 0) EXPECT(fsopen, ERRNO(EPERM), 0)
EXPECT(mount_setattr, ERRNO(EPERM), 0) EXPECT(io_uring_setup, ERRNO(EPERM), 0)
EXPECT(io_uring_enter, ERRNO(EPERM), 0) EXPECT(io_uring_register, ERRNO(EPERM), 0)
EXPECT(userfaultfd, ERRNO(EPERM), 0) EXPECT(vmsplice, ERRNO(EPERM), 0) EXPECT(add_key, ERRNO(EPERM), 0)
EXPECT(request_key, ERRNO(EPERM), 0) EXPECT(keyctl, ERRNO(EPERM), 0) EXPECT(modify_ldt, ERRNO(EPERM), 0)
EXPECT(bpf, ERRNO(EPERM), 0) EXPECT(perf_event_open, ERRNO(EPERM), 0) EXPECT(open_by_handle_at, ERRNO(EPERM), 0)
EXPECT(kexec_load, ERRNO(EPERM), 0) EXPECT(init_module, ERRNO(EPERM), 0) EXPECT(finit_module, ERRNO(EPERM), 0)
EXPECT(reboot, ERRNO(EPERM), 0) EXPECT(swapon, ERRNO(EPERM), 0) EXPECT(syslog, ERRNO(EPERM), 0)
EXPECT(kcmp, ERRNO(EPERM), 0) EXPECT(pidfd_getfd, ERRNO(EPERM), 0) EXPECT(acct, ERRNO(EPERM), 0)
EXPECT(settimeofday, ERRNO(EPERM), 0) EXPECT(iopl, ERRNO(EPERM), 0) EXPECT(move_pages, ERRNO(EPERM), 0)
EXPECT(mbind, ERRNO(EPERM), 0) EXPECT(fanotify_init, ERRNO(EPERM), 0) EXPECT(sethostname, ERRNO(EPERM), 0)
EXPECT(quotactl, ERRNO(EPERM), 0) EXPECT(uselib, ERRNO(EPERM), 0)
