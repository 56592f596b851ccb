/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that say a limit, of a launch and of `nsrun update`: both include this table, with LIMIT() defined, so that neither spells one differently.
 * LIMIT(name, letter, argument, kind, field of struct plan_request, help, example)
 */
LIMIT("memory", 'm', "SIZE", STRING, memory, "bytes of memory; suffixes k m g t", "-m 512m")
LIMIT("memory-reservation", 0, "SIZE", STRING, memory_reservation, "memory that reclaim spares as long as it can", "--memory-reservation 256m")
LIMIT("memory-swap", 0, "SIZE", STRING, memory_swap, "memory and swap together (default: no swap beside --memory)", "-m 512m --memory-swap 1g")
LIMIT("pids-limit", 0, "COUNT", STRING, pids_limit, "number of processes and threads", "--pids-limit 100")
LIMIT("cpus", 0, "NUMBER", STRING, cpus, "processors' worth of time", "--cpus 1.5")
LIMIT("cpu-shares", 0, "WEIGHT", STRING, cpu_shares, "share of busy processors: 2 to 262144, usual 1024", "--cpu-shares 512")
LIMIT("cpuset-cpus", 0, "LIST", STRING, cpuset_cpus, "processors to run on", "--cpuset-cpus 0-2,5")
LIMIT("cpuset-mems", 0, "LIST", STRING, cpuset_mems, "memory nodes to use (numa(7))", "--cpuset-mems 0")
LIMIT("device-read-bps", 0, "PATH:RATE", LIST, device_read_bps, "bytes a second read from a disk; also MAJOR:MINOR:RATE", "--device-read-bps /dev/sda:10m")
LIMIT("device-write-bps", 0, "PATH:RATE", LIST, device_write_bps, "bytes a second written to a disk", "--device-write-bps /dev/sda:10m")
LIMIT("device-read-iops", 0, "PATH:RATE", LIST, device_read_iops, "requests a second that read from a disk", "--device-read-iops /dev/sda:1000")
LIMIT("device-write-iops", 0, "PATH:RATE", LIST, device_write_iops, "requests a second that write to a disk", "--device-write-iops 8:0:1000")
LIMIT("io-weight", 0, "[PATH:]WEIGHT", LIST, io_weight, "share of busy disks, or of one of them: 10 to 1000", "--io-weight /dev/sda:500")
LIMIT("hugetlb", 0, "SIZE=LIMIT", LIST, hugetlb, "bytes of huge pages of one size", "--hugetlb 2m=64m")
LIMIT("cgroup", 0, "KEY=VALUE", LIST, cgroup, "a limit by its file of cgroup v2, whatever it is", "--cgroup memory.high=256m")
