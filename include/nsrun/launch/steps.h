/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of score_table.h do. A function is named after the role that runs it. */
#ifndef NSRUN_LAUNCH_STEPS_H
#define NSRUN_LAUNCH_STEPS_H

#include <nsrun/launch/launch.h>

/* Predicates: of the plan alone, so that every process decides alike. */
bool wants_one_shot(const struct plan *plan);
bool wants_keyring(const struct plan *plan);
bool wants_gate(const struct plan *plan);
bool wants_notify(const struct plan *plan);
bool wants_root(const struct plan *plan);
bool wants_root_joined(const struct plan *plan);
bool wants_bundle_files(const struct plan *plan);
bool wants_console_bound(const struct plan *plan);
bool init_opens_rootfs(const struct plan *plan);
bool wants_console_socket(const struct plan *plan);
bool wants_hooks_runtime(const struct plan *plan);
bool wants_hooks_container(const struct plan *plan);
bool wants_hooks_start(const struct plan *plan);
bool wants_cgroup(const struct plan *plan);
bool wants_limits(const struct plan *plan);
bool wants_limits_late(const struct plan *plan);
bool wants_v1_groups(const struct plan *plan);
bool wants_v1_groups_late(const struct plan *plan);
bool wants_scope(const struct plan *plan);
bool wants_scope_limits(const struct plan *plan);
bool wants_scope_delegate(const struct plan *plan);
bool wants_scope_filter(const struct plan *plan);
bool wants_scope_entered(const struct plan *plan);
bool wants_cgroupns_later(const struct plan *plan);
bool wants_cgroup_mount(const struct plan *plan);
/* Is there a mount of what shows this namespace? */
bool wants_view(const struct plan *plan, enum ns_kind kind);
bool wants_proc_provided(const struct plan *plan);
bool wants_sys_provided(const struct plan *plan);
bool wants_mqueue_provided(const struct plan *plan);
bool wants_cgroup_provided(const struct plan *plan);
bool wants_maps(const struct plan *plan);
bool wants_time(const struct plan *plan);
bool wants_time_offsets(const struct plan *plan);
bool wants_hostname(const struct plan *plan);
bool wants_loopback(const struct plan *plan);
bool wants_cgroup_delegate(const struct plan *plan);
bool wants_userns(const struct plan *plan);
bool wants_setgroups_denied(const struct plan *plan);
bool runtime_opens(const struct plan *plan);
bool runtime_opens_volumes(const struct plan *plan);
bool init_opens(const struct plan *plan);
bool init_opens_volumes(const struct plan *plan);
bool wants_rootfs_idmap(const struct plan *plan);
bool wants_volumes(const struct plan *plan);
bool wants_root_readonly(const struct plan *plan);
bool wants_root_detach(const struct plan *plan);
bool wants_volumes_idmap(const struct plan *plan);
bool wants_owner_volumes(const struct plan *plan);
bool wants_overlay(const struct plan *plan);
bool wants_overlay_outside(const struct plan *plan);
bool wants_device_filter(const struct plan *plan);
bool wants_devices(const struct plan *plan);
bool runtime_makes_devices(const struct plan *plan);
bool init_opens_devices(const struct plan *plan);
bool wants_rlimits(const struct plan *plan);
bool wants_cidfile(const struct plan *plan);
bool wants_pidfile(const struct plan *plan);
bool wants_log(const struct plan *plan);
bool wants_control(const struct plan *plan);
bool wants_output_pipes(const struct plan *plan);
bool wants_user_terminal(const struct plan *plan);
bool wants_kept_terminal(const struct plan *plan);
bool wants_terminal(const struct plan *plan);
bool wants_no_terminal(const struct plan *plan);
bool wants_stdin_null(const struct plan *plan);
bool wants_reaper(const struct plan *plan);
bool wants_direct_workload(const struct plan *plan);
bool wants_oom_score(const struct plan *plan);
bool wants_etc(const struct plan *plan);
bool wants_readonly_paths(const struct plan *plan);
bool wants_masks(const struct plan *plan);
bool wants_sysctls(const struct plan *plan);
bool wants_domainname(const struct plan *plan);
bool wants_umask(const struct plan *plan);
bool wants_caps_bound(const struct plan *plan);
bool wants_no_new_privs(const struct plan *plan);
bool wants_seccomp(const struct plan *plan);
bool wants_caps_final(const struct plan *plan);
bool enters_container(const struct plan *plan);
bool wants_cgroupns_entered(const struct plan *plan);
bool wants_release(const struct plan *plan);
bool wants_labels(const struct plan *plan);
bool wants_listener(const struct plan *plan);
bool wants_proc_kept(const struct plan *plan);
bool wants_rdt(const struct plan *plan);
bool wants_netdevs(const struct plan *plan);
bool wants_scheduler(const struct plan *plan);
bool wants_io_priority(const struct plan *plan);
bool wants_affinity(const struct plan *plan);
bool wants_initial_affinity(const struct plan *plan);
bool wants_memory_policy(const struct plan *plan);
bool wants_personality(const struct plan *plan);

#define ROW(name) int name(struct launch *launch, struct err *err)

/* steps_runtime.c */
ROW(runtime_state_record);
ROW(runtime_state_init);
ROW(runtime_cgroup_create);
ROW(runtime_cgroup_remove);
ROW(runtime_cgroup_limits);
ROW(runtime_cgroup_limits_late);
ROW(runtime_cgroup_delegate);
ROW(runtime_cgroup_open);
ROW(runtime_cgroup_close);
ROW(init_cgroup_attach);
ROW(runtime_channel_open);
ROW(runtime_channel_close);
ROW(runtime_init_clone);
ROW(runtime_init_kill);
ROW(runtime_ids_setgroups);
ROW(runtime_ids_uids);
ROW(runtime_ids_gids);
ROW(runtime_rlimits_set);
ROW(runtime_oom_score);
ROW(runtime_terminal_guard);
ROW(runtime_terminal_unguard);
ROW(runtime_terminal_raw);
ROW(runtime_terminal_restore);

/* steps_scope.c */
ROW(runtime_scope_start);
ROW(runtime_scope_stop);
ROW(runtime_scope_enter);

/* steps_namespaces.c */
ROW(runtime_namespaces_open);
ROW(runtime_namespaces_close);
ROW(runtime_proc_provide);
ROW(runtime_proc_drop);
ROW(runtime_sys_provide);
ROW(runtime_sys_drop);
ROW(runtime_mqueue_provide);
ROW(runtime_mqueue_drop);
ROW(runtime_cgroup_provide);
ROW(runtime_cgroup_drop);
ROW(runtime_processes_hold);
ROW(runtime_processes_end);
ROW(init_time_new);
ROW(init_time_offsets);
ROW(init_time_enter);
/* What the process that has entered the joined namespaces makes for init, which may not. */
int provide_joined(void *launch, struct err *err);

/* steps_life.c: what a container has for those who look at it */
ROW(runtime_cid_write);
ROW(runtime_cid_remove);
ROW(runtime_log_open);
ROW(runtime_log_close);
ROW(runtime_control_listen);
ROW(runtime_control_close);
ROW(runtime_output_open);
ROW(runtime_output_close);
ROW(runtime_pid_write);
ROW(runtime_pid_remove);
ROW(runtime_terminal_take);
ROW(workload_output_attach);

/* steps_sources.c: the trees of the host on their way into the container */
ROW(runtime_rootfs_open);
ROW(runtime_rootfs_close);
ROW(runtime_rootfs_overlay);
ROW(runtime_volumes_open);
ROW(runtime_volumes_close);
ROW(runtime_volumes_owner);
ROW(runtime_rootfs_idmap);
ROW(runtime_volumes_idmap);
ROW(init_rootfs_open);
ROW(init_volumes_open);

/* steps_files.c: the container's view, built by init */
ROW(init_mounts_private);
ROW(init_rootfs_protect);
ROW(init_root_attach);
ROW(init_root_overlay);
ROW(init_proc_mount);
ROW(init_sys_mount);
ROW(init_cgroup_mount);
ROW(init_dev_mount);
ROW(init_dev_nodes);
ROW(init_dev_links);
ROW(init_pts_mount);
ROW(init_shm_mount);
ROW(init_mqueue_mount);
ROW(init_paths_readonly);
ROW(init_paths_mask);
ROW(init_console_bind);
ROW(init_root_pivot);
ROW(init_root_detach);

/* steps_devices.c */
ROW(runtime_devices_filter);
ROW(runtime_devices_make);
ROW(runtime_devices_drop);
ROW(init_devices_open);
ROW(init_devices_place);

/* steps_mounts_bundle.c */
ROW(init_mounts_all);
ROW(init_root_readonly);

/* steps_nodes.c */
ROW(init_nodes_make);

/* steps_etc.c */
ROW(init_etc_mount);

/* steps_mounts.c: what --volume, --mount and --tmpfs ask for */
ROW(init_volumes_mount);

/* steps_init.c */
ROW(init_parent_bind);
ROW(init_become_root);
ROW(init_parent_rebind);
ROW(init_keyring_new);
ROW(init_cgroupns_unshare);
ROW(init_umask_set);
ROW(init_hostname_set);
ROW(init_domainname_set);
ROW(init_sysctls_write);
ROW(init_loopback_up);
ROW(init_terminal_open);
ROW(init_user_resolve);
ROW(init_argv_resolve);
ROW(init_workload_fork);

/* notify.c */
ROW(runtime_notify_listen);
ROW(runtime_notify_close);

/* steps_bundle.c */
ROW(runtime_gate_open);
ROW(runtime_gate_close);
ROW(runtime_state_created);
ROW(runtime_hooks_run);
ROW(runtime_console_send);
ROW(workload_gate_release);
ROW(workload_gate_wait);
ROW(init_hooks_container);
ROW(workload_hooks_start);

/* steps_enter.c: nsrun exec */
int shed_caps(void *launch, struct err *err); /* struct join, entered */
/* The v2 group that the further process goes into. */
int enter_open_group(const struct plan *plan, int *ret_fd, struct err *err);
ROW(runtime_container_open);
ROW(runtime_container_close);
ROW(init_cgroupns_enter);
ROW(init_container_enter);
ROW(init_root_adopt);
ROW(workload_parent_release);

/* steps_settings.c: what config.json alone can ask for */
ROW(runtime_affinity_start);
ROW(runtime_affinity_restore);
ROW(init_affinity_set);
ROW(runtime_scheduler_set);
ROW(runtime_io_priority_set);
ROW(workload_memory_policy_set);
ROW(workload_personality_set);
ROW(runtime_proc_keep);
ROW(runtime_proc_leave);
ROW(workload_labels_set);
ROW(runtime_rdt_create);
ROW(runtime_rdt_remove);
ROW(runtime_rdt_place);
ROW(runtime_netdevs_move);
ROW(runtime_netdevs_return);
ROW(runtime_listener_connect);
ROW(runtime_listener_close);
ROW(workload_listener_describe);

/* steps_workload.c */
ROW(workload_terminal_attach);
ROW(workload_session_new);
ROW(workload_stdin_null);
ROW(workload_fds_close);
ROW(workload_signals_reset);
ROW(workload_caps_bound);
ROW(workload_caps_keep);
ROW(workload_creds_set);
ROW(workload_umask_set);
ROW(workload_parent_keep);
ROW(workload_cwd_enter);
ROW(workload_caps_set);
ROW(workload_no_new_privs);
ROW(workload_seccomp_load);
ROW(workload_caps_final);
ROW(workload_exec);
#undef ROW

#endif
