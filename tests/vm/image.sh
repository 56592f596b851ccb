# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Disks of the machine: the empty one, and Debian with systemd. Sourced by prepare, which has $top, $suite and the private directory $work.

top=${top:?} suite=${suite:?} work=${work:-}

# No journal: no machine's disk outlives it.
make_ext4() {
	mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 "$@" >"$work/log" 2>&1 || {
		cat -- "$work/log" >&2
		die "mkfs.ext4 failed"
	}
}

make_disk() {
	truncate -s 16G "$work/new"
	make_ext4 -m 0 "$work/new"
	mv -T -- "$work/new" "$1"
}

# Debian with systemd, and what nsrun's tests use in it.
include=systemd-sysv,dbus,dbus-user-session,libpam-systemd,udev,kmod,uidmap,busybox-static,bash-static,python3,strace,procps,util-linux
include+=,iproute2,e2fsprogs,systemd-container
make_systemd() {
	local tree=$work/tree enter=()
	# Files of several ids: an ordinary user's are those of the map that rootfs-scripts/debian uses.
	((EUID == 0)) || enter=(unshare --map-root-user --map-auto --)
	say "making an image of $suite with systemd"
	"$top/rootfs-scripts/debian" --quiet --suite "$suite" --include "$include" "$tree" >&2 || die "the image could not be made"
	# shellcheck disable=SC2016 # the inner shell expands
	"${enter[@]}" bash -euc '
		tree=$1
		echo "tester:x:1000:1000::/home/tester:/bin/bash" >>"$tree/etc/passwd"
		echo "tester:x:1000:" >>"$tree/etc/group"
		echo "tester:!:19000::::::" >>"$tree/etc/shadow"
		sed -i "s/^root:[^:]*:/root::/" "$tree/etc/shadow"
		for file in subuid subgid; do echo "tester:300000:65536" >"$tree/etc/$file"; done
		cp -R "$tree/etc/skel" "$tree/home/tester"
		chown -R 1000:1000 "$tree/home/tester"
		mkdir -p "$tree/var/lib/systemd/linger" "$tree/lib/modules" "$tree/host" "$tree/d"
		: >"$tree/var/lib/systemd/linger/tester"
		ln -sf /lib/systemd/system/multi-user.target "$tree/etc/systemd/system/default.target"
		echo vm >"$tree/etc/hostname"
		: >"$tree/etc/fstab"
		echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id" # an empty one makes each boot a first boot
		rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}/*
		truncate -s 4G "$2"
	' make_systemd "$tree" "$work/new"
	# shellcheck disable=SC2016
	"${enter[@]}" bash -euc 'mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 -d "$1" "$2"; rm -rf --one-file-system "$1"' \
		make_systemd "$tree" "$work/new" >&2 || die "mkfs.ext4 failed"
	mv -f -T -- "$work/new" "$1"
}
