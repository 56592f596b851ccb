/* SPDX-License-Identifier: Apache-2.0 */
/* Every command, alphabetically: usage, completion and manual come from here. */
#include <nsrun/cli/commands.h>

#include <nsrun/cli/attach.h>

const struct command_row commands[] = {
	{ .name = "attach",
	  .run = command_attach,
	  .help = "show a running container's output, and type into it",
	  .details =
		  "The keys ctrl-p,ctrl-q leave its terminal. If it has none, ^C goes to process 1, and leaves one that "
		  "does not handle it. The exit status is the container's when it ends.",
	  .arguments = "NAME",
	  .options = &attach_table },
	{ .name = "checkpoint",
	  .run = command_checkpoint,
	  .help = "save a container (planned)",
	  .details = "Of the OCI runtime: says that this version cannot.",
	  .arguments = "ID",
	  .options = &checkpoint_options },
	{ .name = "create",
	  .run = command_create,
	  .help = "make a container from an OCI bundle; nsrun start runs it",
	  .details =
		  "The bundle is a directory with config.json (runtime specification, ociVersion 1.x). All is made but the workload is not executed; ID "
		  "names the container from now on, until nsrun delete.",
	  .arguments = "ID",
	  .options = &create_options },
	{ .name = "delete",
	  .run = command_delete,
	  .help = "remove a container that was made from an OCI bundle",
	  .details =
		  "What is left of its processes, its control groups, its state. One that waits for start is killed; one that runs is refused unless --force, "
		  "which kills it first and cleans up whatever is there. Poststop hooks run; one that fails is told and changes nothing.",
	  .arguments = "ID",
	  .options = &delete_options },
	{ .name = "events",
	  .run = command_events,
	  .help = "print statistics of a container again and again, as JSON",
	  .details =
		  "Of the OCI runtime: an object a line, of type stats, or oom when a process was killed for want of memory. docs/stats.md has the counters.",
	  .arguments = "ID",
	  .options = &events_options },
	{ .name = "exec",
	  .run = command_exec,
	  .help = "run a command in a container that runs",
	  .details =
		  "With the container's own namespaces, ids, capabilities, filter, limits, environment and working directory; without CMD its "
		  "user's shell. The exit status is CMD's, 128+N when signal N ended it, 127 and 126 when it is not found or cannot be "
		  "executed, 125 when nsrun failed. CMD ends with nsrun, unless -d, and with the container.",
	  .arguments = "NAME [--] [CMD [ARG...]]",
	  .options = &exec_options },
	{ .name = "features",
	  .run = command_features,
	  .help = "say what this OCI runtime can do, as JSON",
	  .details =
		  "features.md of the runtime specification 1.3. Its fields say what this build recognizes, as the specification wants it, whether "
		  "this host has it or not; seccomp.supportedFlags alone are those that this kernel takes. What this host has for this caller is "
		  "in annotations: nsrun.host.PATH for the field linux.PATH, true, false, or words with a space between, asked of the kernel each "
		  "time; cgroup.v1.controllers and cgroup.v2.controllers say where which controller is, and nsrun.host.kernel the release.",
	  .arguments = NULL,
	  .options = &features_options },
	{ .name = "gc",
	  .run = command_gc,
	  .help = "remove what dead containers left",
	  .details =
		  "Processes, control groups, state and id ranges of containers whose nsrun was killed; of those with a name or --detach the "
		  "record and the output stay, as lost, until nsrun rm. Later launches do the same for up to eight others each." },
	{ .name = "help",
	  .run = command_help,
	  .arguments = "[WORD...]",
	  .help = "explain a command, an option, or a group of options",
	  .details =
		  "Without a word the same as nsrun --help. Groups are named by the first words of their titles there: nsrun help files." },
	{ .name = "inspect",
	  .run = command_inspect,
	  .help = "show all that is known of containers",
	  .details =
		  "The record of each, and of one that runs what the kernel says now: process, namespaces by inode, mounts, use and limits "
		  "of its control group. A JSON array, or lines with --format=text.",
	  .arguments = "NAME...",
	  .options = &inspect_options },
	{ .name = "kill",
	  .run = command_kill,
	  .help = "send a signal to process 1 of containers",
	  .details =
		  "SIGKILL unless another one is named: -s TERM, -TERM, -15. The kernel drops a signal that process 1 of a pid namespace "
		  "neither handles nor blocks, SIGKILL and SIGSTOP apart (pid_namespaces(7)); nsrun says so then. Of a container that was made from an OCI "
		  "bundle also: nsrun kill ID [SIGNAL], SIGTERM by default.",
	  .arguments = "NAME...",
	  .options = &kill_options },
	{ .name = "lab",
	  .run = command_lab,
	  .help = "learn namespaces on the real runtime",
	  .details =
		  "Without a word: where you are, and what comes next. With a chapter's name: plays it; questions are answered before their answer is seen, tasks are "
		  "graded by what the kernel says. list: all chapters. check [CHAPTER...]: what was solved; exit status 0 when all of it is. solve CHAPTER...: "
		  "plays with the chapter's own solutions, which proves that it holds on this host; exit status 1 when it does not. reset [CHAPTER...]: forgets what was "
		  "done; without a chapter all of it, with everything in the lab's directory. report: writes one HTML file of what was done, predictions against reality, with figures of the last launches (without -o: "
		  "nsrun-lab-report.html in the working directory); --json the same facts, with a hash, as they are handed in. report FILE...: of a class, of the files that were handed in; exit status 1 when "
		  "one of them cannot be read, was edited, cannot be checked, contradicts itself, or is another one's work, and its name is told. A hash without --salt shows damage alone. The lab takes no network. What it needs lies in $NSRUN_LAB_DIR, or nsrun/lab below $XDG_STATE_HOME or ~/.local/state; whatever ends the lab, no "
		  "container stays. docs/labs/README.md is the format of chapters.",
	  .arguments = "[list|check|solve|report|reset] [CHAPTER...|FILE...]",
	  .options = &lab_options },
	{ .name = "list",
	  .run = command_list,
	  .help = "list the containers of OCI bundles",
	  .details =
		  "Of the OCI runtime, below the state root (--root): those of the one-shot command are in nsrun ls.",
	  .arguments = NULL,
	  .options = &list_options },
	{ .name = "logs",
	  .run = command_logs,
	  .help = "show what a container has written",
	  .details = "Of containers that were detached or started with --log-driver file, until nsrun rm.",
	  .arguments = "NAME",
	  .options = &logs_table },
	{ .name = "ls",
	  .run = command_ls,
	  .help = "list the containers of this user",
	  .details =
		  "Those that run or are paused; with --all also those that have ended and are kept, those that nsrun lost (it was killed, and nobody saw "
		  "their end), and dead ones that nsrun gc will tidy up.",
	  .options = &ls_options },
	{ .name = "pause",
	  .run = command_pause,
	  .help = "stop all processes of containers for a while",
	  .details =
		  "By the freezer of cgroup v2, which a process can neither notice nor prevent; memory stays in use. Each is named once nothing in it "
		  "runs. One that cannot be stopped within ten seconds, or ^C meanwhile, leaves it running. If this command is killed (SIGKILL) "
		  "halfway, the container may be paused all the same: nsrun ls shows it, nsrun resume continues it. A paused container can be "
		  "stopped, killed and removed.",
	  .arguments = "NAME...",
	  .options = &pause_options },
	{ .name = "ps",
	  .run = command_ps,
	  .help = "list the processes of a container by ps(1)",
	  .details =
		  "Of the OCI runtime: the lines of ps -ef, or of ps with the options that follow the id, which are about its processes; with --format json the process ids.",
	  .arguments = "ID [OPTION...]",
	  .options = &ps_options },
	{ .name = "restore",
	  .run = command_restore,
	  .help = "bring back a saved container (planned)",
	  .details = "Of the OCI runtime: says that this version cannot.",
	  .arguments = "ID",
	  .options = &restore_options },
	{ .name = "resume",
	  .run = command_resume,
	  .help = "continue paused containers",
	  .arguments = "NAME...",
	  .options = &resume_options },
	{ .name = "rm",
	  .run = command_rm,
	  .help = "remove containers that have ended",
	  .details =
		  "Record, output and name of each. One that runs is refused unless --force, which kills it first; of one whose nsrun was "
		  "killed it ends what is left.",
	  .arguments = "NAME...",
	  .options = &rm_options },
	{ .name = "run",
	  .run = command_run_bundle,
	  .help = "create and start a container from an OCI bundle",
	  .details =
		  "As create and start. In the foreground it is deleted at its end, and the exit status is its own; with --detach it stays until nsrun delete.",
	  .arguments = "ID",
	  .options = &run_options },
	{ .name = "spec",
	  .run = command_spec,
	  .help = "make a config.json to begin with",
	  .details =
		  "Of the OCI runtime: for a bundle whose root file system is in rootfs/. One that is there is not replaced.",
	  .arguments = NULL,
	  .options = &spec_options },
	{ .name = "start",
	  .run = command_start,
	  .help = "execute the workload of a container that nsrun create has made",
	  .details = "Ends when the workload is executed, or with the error that kept it from that.",
	  .arguments = "ID",
	  .options = &start_options },
	{ .name = "state",
	  .run = command_state,
	  .help = "print the state of a container that was made from an OCI bundle",
	  .details =
		  "A JSON object: ociVersion, id, pid, status (creating, created, running, paused, stopped), bundle, annotations, rootfs, created.",
	  .arguments = "ID",
	  .options = &state_options },
	{ .name = "stats",
	  .run = command_stats,
	  .help = "show what containers use",
	  .details =
		  "Of all that run and have a control group, or of those that are named; on a terminal anew each second until ^C. Processor time is that of "
		  "the last interval, 100% being one processor; THROTTLED is the share of periods in which --cpus held it back. Memory is without pages of "
		  "files that were not used lately, which are given up first; OOM counts processes that were killed for want of memory. A counter "
		  "whose controller the container does not have is \"-\": a limit asks for it, and one that is never met does so too. --json has all "
		  "counters as the kernel has them (docs/stats.md).",
	  .arguments = "[NAME...]",
	  .options = &stats_options },
	{ .name = "stop",
	  .run = command_stop,
	  .help = "end containers and wait until they are gone",
	  .details =
		  "Sends process 1 the container's stop signal (--stop-signal, SIGTERM) and SIGKILL when it still runs after the timeout. "
		  "When process 1 does not handle the signal the kernel would drop it (pid_namespaces(7)): it is killed at once then. Several "
		  "are stopped at the same time.",
	  .arguments = "NAME...",
	  .options = &stop_options },
	{ .name = "top",
	  .run = command_top,
	  .help = "list the processes of a container",
	  .details =
		  "NSPID and UID-IN are as the container sees them, PID, PPID and UID as the host does. Commands are what the processes "
		  "say themselves.",
	  .arguments = "NAME",
	  .options = &top_options },
	{ .name = "update",
	  .run = command_update,
	  .help = "change limits of containers that run",
	  .details =
		  "The options are those of a launch; what is not said stays as it is, and -1 takes a limit away. Of one container all are changed or none. "
		  "A memory limit below what is used makes the kernel reclaim first; what does not fit then is refused, unless --force: on cgroup v2 "
		  "the kernel kills until the rest fits, on v1 it refuses. What forbids an option of a launch (nsrun.json(5)) forbids it here.",
	  .arguments = "NAME...",
	  .options = &update_options },
	{ .name = "version", .run = command_version, .help = "print the version" },
	{ .name = "wait",
	  .run = command_wait,
	  .help = "wait for the end of containers and print their exit statuses",
	  .details =
		  "One line each, in the order of the names: the status as a shell has it. Of one that has ended it is in the record.",
	  .arguments = "NAME...",
	  .options = &wait_options },
	{ .name = NULL },
};
