# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the rootfs scripts share: messages, ids of a container's owner, and a directory that appears whole or not at all.
# Sourced by scripts that have run `set -euo pipefail`.

prog=rootfs-scripts/$(basename -- "$0")

die() {
	printf '%s: %s\n' "$prog" "$*" >&2
	exit 1
}

usage_error() {
	printf '%s: %s\nTry "%s --help".\n' "$prog" "$1" "$0" >&2
	exit 2
}

# subid_ranges subuid|subgid NAME ID: "FIRST COUNT" a line, in the order of the file; lines may name the user or give the number.
subid_ranges() {
	local file=/etc/$1 name=$2 id=$3 key first count found=false
	if [[ -r $file ]]; then
		while IFS=: read -r key first count || [[ -n $key ]]; do
			[[ $key == "$name" || $key == "$id" ]] || continue
			[[ $first =~ ^[0-9]{1,10}$ && $count =~ ^[0-9]{1,10}$ ]] || die "$file: malformed line for $key: $key:$first:$count"
			((10#$count > 0)) || continue
			printf '%d %d\n' "$((10#$first))" "$((10#$count))"
			found=true
		done <"$file"
	fi
	# Ranges may come from another source that nsswitch.conf(5) names under "subid"; getsubids(1) asks libsubid.
	if [[ $found == false ]] && command -v getsubids >/dev/null; then
		local option=()
		[[ $1 == subgid ]] && option=(-g)
		getsubids "${option[@]}" "$name" 2>/dev/null | while read -r _ _ first count; do
			printf '%d %d\n' "$first" "$count"
		done || true
	fi
}

# map_id ID RANGE...: the host id of a container's ID, where each RANGE is "FIRST COUNT" and the ranges are joined end to end.
map_id() {
	local id=$1 range first count
	shift
	for range; do
		read -r first count <<<"$range"
		if ((id < count)); then
			printf '%d\n' "$((first + id))"
			return
		fi
		((id -= count)) || true
	done
	return 1
}

# owner_ranges USER[:GROUP]|UID:GID: sets uid_ranges and gid_ranges. Two numbers are the host ids of the container's root, with
# 65536 ids from there; anything else is a user whose subordinate ranges count.
owner_ranges() {
	local owner=$1 user group name id gid id_of_group
	if [[ $owner =~ ^([0-9]{1,10}):([0-9]{1,10})$ ]]; then
		uid_ranges=("$((10#${BASH_REMATCH[1]})) 65536")
		gid_ranges=("$((10#${BASH_REMATCH[2]})) 65536")
		((10#${BASH_REMATCH[1]} <= 4294901759 && 10#${BASH_REMATCH[2]} <= 4294901759)) ||
			die "--owner $owner: the ids of a container end below 4294967295"
		return
	fi
	user=${owner%%:*}
	IFS=: read -r name _ id gid _ < <(getent passwd -- "$user") || die "--owner $owner: no user \"$user\""
	group=$name
	if [[ $owner == *:* ]]; then
		IFS=: read -r group _ gid _ < <(getent group -- "${owner#*:}") || die "--owner $owner: no group \"${owner#*:}\""
		id_of_group=$gid
	else
		id_of_group=$id # subgid(5): a line names the user, also for his group ids
	fi
	mapfile -t uid_ranges < <(subid_ranges subuid "$name" "$id")
	mapfile -t gid_ranges < <(subid_ranges subgid "$group" "$id_of_group")
	((${#uid_ranges[@]} > 0)) || die "--owner $owner: user $name has no range in /etc/subuid: usermod --add-subuids FIRST-LAST $name"
	((${#gid_ranges[@]} > 0)) || die "--owner $owner: $group has no range in /etc/subgid: usermod --add-subgids FIRST-LAST $name"
}

# tree_begin DIR: makes a private directory beside DIR and names it in $tree; tree_commit puts it in DIR's place by one rename(2),
# which replaces an empty directory at most. Whatever ends the script before that removes it.
tree_begin() {
	target=$1
	local parent
	parent=$(dirname -- "$target")
	[[ -d $parent ]] || die "$parent: no such directory"
	if [[ -L $target ]]; then
		die "$target: exists and is a symbolic link"
	elif [[ -e $target && ! -d $target ]]; then
		die "$target: exists and is no directory"
	elif [[ -d $target ]] && [[ -n $(find "$target" -mindepth 1 -maxdepth 1 -print -quit) ]]; then
		die "$target: exists and is not empty; nothing is overwritten: remove it first"
	fi
	trap tree_abort EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	tree=$(mktemp -d -- "$parent/.$(basename -- "$target").XXXXXXXX") || die "$parent: cannot be written"
}

tree_abort() {
	[[ -z ${tree:-} ]] || rm -rf -- "$tree"
}

tree_commit() {
	mv -f -T -- "$tree" "$target" || die "$target: cannot be put in place"
	tree=''
}
