# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the rootfs scripts share: messages, ids of a container's owner, and a directory that appears whole or not at all.
# Sourced by scripts that have run `set -euo pipefail`.

here=${here:?} # the directory of the script
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

# --- The command line ------------------------------------------------------------------------------------------------

# A script declares value_options ([--option]=variable) and flag_options, adds to what all have, and calls options_parse "$@":
# the variables are set, a flag's to true, and what is left is in operands. --help calls usage().
declare -A value_options=() flag_options=()
operands=()
options_parse() {
	local word name value
	while (($# > 0)); do
		word=$1 name=${1%%=*}
		shift
		case $word in
		-h | --help)
			usage
			exit 0
			;;
		--)
			operands+=("$@")
			return
			;;
		-?*)
			if [[ -n ${flag_options[$word]:-} ]]; then
				printf -v "${flag_options[$word]}" true
			elif [[ -z ${value_options[$name]:-} ]]; then
				usage_error "unknown option $word"
			else
				if [[ $word == *=* ]]; then
					value=${word#*=}
				else
					(($# > 0)) || usage_error "$name needs a value"
					value=$1
					shift
				fi
				[[ -n $value ]] || usage_error "$name needs a value"
				printf -v "${value_options[$name]}" %s "$value"
			fi
			;;
		*) operands+=("$word") ;;
		esac
	done
}

# operands_are NAME...: sets the variables of these names in lower case.
operands_are() {
	local name index=0
	for name; do
		((index < ${#operands[@]})) || usage_error "$name is missing"
		[[ -n ${operands[index]} ]] || usage_error "$name is empty"
		printf -v "${name,,}" %s "${operands[index]}"
		((index += 1))
	done
	((index == ${#operands[@]})) || usage_error "more than one $name: ${operands[index - 1]}, ${operands[index]}"
}

# size_of TEXT OPTION: bytes, of a number with an optional K, M, G or T.
size_of() {
	[[ $1 =~ ^([0-9]{1,18})([KkMmGgTt]?)$ ]] || usage_error "$2 $1: a number of bytes is needed, also with K, M, G or T"
	local number=$((10#${BASH_REMATCH[1]})) power=0
	case ${BASH_REMATCH[2]} in
	[Kk]) power=10 ;;
	[Mm]) power=20 ;;
	[Gg]) power=30 ;;
	[Tt]) power=40 ;;
	esac
	((number > 0 && number <= (1 << 62 >> power))) || usage_error "$2 $1: is out of range"
	printf '%d\n' $((number << power))
}

# need_program NAME PACKAGE
need_program() {
	PATH=$PATH:/usr/sbin:/sbin type -P "$1" >/dev/null || die "$1 is not installed: apt-get install $2"
}

# say TEXT...: a stage of the work.
quiet=false
say() {
	[[ $quiet == true ]] || printf '%s: %s\n' "$prog" "$*" >&2
}

# --- The tree --------------------------------------------------------------------------------------------------------

# tree_begin DIR: makes a private directory beside DIR, $stage, with a directory $work in it for what works on the tree, which
# becomes $tree there; tree_commit puts it in DIR's place by one rename(2), which replaces an empty directory at most. Whatever
# ends the script before that removes it. The directory that holds DIR may be another user's, who can exchange what is in it at any
# time: it and the private one are held open, and named by their descriptors.
stage='' work='' tree='' target='' said='' child='' beside_target='' strip_suid=false place_fd='' stage_fd='' stage_name=''
tree_begin() {
	target=$1
	local parent name
	while [[ $target == ?*/ ]]; do
		target=${target%/}
	done
	[[ $target == /* ]] || target=./$target # a name may begin with "-"
	said=$target
	name=${target##*/}
	[[ $name != . && $name != .. && $name != '' ]] || die "$1: name a directory that is to be made"
	parent=${target%/*}
	[[ -n $parent ]] || parent=/
	[[ -d $parent ]] || die "$parent: no such directory"
	exec {place_fd}<"$parent/" || die "$parent: cannot be read"
	target=/proc/$$/fd/$place_fd/$name
	if [[ -L $target ]]; then
		die "$said: exists and is a symbolic link"
	elif [[ -e $target && ! -d $target ]]; then
		die "$said: exists and is no directory"
	elif [[ -d $target ]] && [[ -n $(find "$target" -mindepth 1 -maxdepth 1 -print -quit) ]]; then
		die "$said: exists and is not empty; nothing is overwritten: remove it first"
	elif [[ -n $beside_target ]] && [[ -e $target$beside_target || -L $target$beside_target ]]; then
		die "$said$beside_target: exists; nothing is overwritten: remove it first"
	fi
	trap tree_abort EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	stage_name=$(mktemp -d -- "/proc/$$/fd/$place_fd/.$name.XXXXXXXX" 2>/dev/null && printf x) || die "$parent: cannot be written"
	stage_name=${stage_name%$'\n'x} # for a name that ends in a newline
	exec {stage_fd}<"$stage_name/" || die "$stage_name: cannot be read"
	stage=/proc/$$/fd/$stage_fd
	[[ $(stat -L -c '%u %a' -- "$stage") == "$EUID 700" && -z $(find "$stage/" -mindepth 1 -maxdepth 1 -print -quit) ]] ||
		die "$parent: somebody exchanges what is in it"
	work=$stage/work
	tree=$work/tree
	mkdir -m 0755 -- "$work"
}

tree_abort() {
	trap '' HUP INT TERM # removing is not interrupted
	if [[ -n $child ]]; then
		kill -TERM "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	if [[ -n $stage ]]; then
		# An ordinary user's files of other ids go by root of the same map.
		if ! find "$stage/" -mindepth 1 -delete 2>/dev/null && ((${#confine_ids[@]} > 0)); then
			"${python[@]}" "$here/lib/confine.py" "${confine_ids[@]}" --place "$work" --offline -- \
				find . -mindepth 1 -delete </dev/null {place_fd}<&- {stage_fd}<&- || true
			find "$stage/" -mindepth 1 -delete || true
		fi
	fi
	[[ -z $stage_name ]] || rmdir -- "$stage_name" || true
}

# tree_commit: with $beside_target the file image.json of $stage becomes DIR's companion of that name; both appear or none.
tree_commit() {
	trap '' HUP INT TERM # between two names there is no way back
	if [[ -n $beside_target ]]; then
		chmod 0644 -- "$stage/image.json"
		ln -T -- "$stage/image.json" "$target$beside_target" || die "$said$beside_target: cannot be made"
	fi
	if ! mv -f -T -- "$tree" "$target"; then
		[[ -z $beside_target ]] || rm -f -- "$target$beside_target"
		die "$said: cannot be put in place"
	fi
}

# --- Working in the container's own map of ids -----------------------------------------------------------------------

# map_begin OWNER: the map that nsrun would use for a tree of this owner, in $confine_ids; $one_id says that it has one id.
confine_ids=() one_id=false root_ids='' python=()
map_begin() {
	local owner=$1 name
	# The system's own, which every id can reach; a user's python3 may lie in a home directory.
	[[ -x /usr/bin/python3 ]] || need_program python3 python3
	python=("$(PATH=/usr/bin:$PATH type -P python3)" -I -B)
	if [[ -n $owner ]]; then
		((EUID == 0)) || die "--owner $owner: only root gives files away; without --owner they are yours, and nsrun ROOTFS works"
		owner_ranges "$owner"
	elif ((EUID == 0)); then
		# Every id stays what it is; the namespace limits what its capabilities are good for.
		mapfile -t uid_ranges < <(awk '{ print $1, $3 }' /proc/self/uid_map)
		mapfile -t gid_ranges < <(awk '{ print $1, $3 }' /proc/self/gid_map)
	else
		name=$(id -un 2>/dev/null) || name=$EUID
		mapfile -t uid_ranges < <(subid_ranges subuid "$name" "$EUID")
		mapfile -t gid_ranges < <(subid_ranges subgid "$name" "$EUID")
		if ((${#uid_ranges[@]} > 0 && ${#gid_ranges[@]} > 0)); then
			need_program newuidmap uidmap
		else
			one_id=true uid_ranges=() gid_ranges=()
		fi
		uid_ranges=("$EUID 1" "${uid_ranges[@]}")
		gid_ranges=("$(id -g) 1" "${gid_ranges[@]}")
	fi
	map_rows --uid "${uid_ranges[@]}"
	map_rows --gid "${gid_ranges[@]}"
	root_ids=${uid_ranges[0]% *}:${gid_ranges[0]% *}
}
map_rows() {
	local id_option=$1 range first count inside=0
	shift
	for range; do
		read -r first count <<<"$range"
		confine_ids+=("$id_option" "$inside:$first:$count")
		((inside += count))
	done
}

# refuse_exposed OWNER DIR: where the container's root is the caller, a set-uid file of the tree is the caller's, and whoever can
# reach it becomes the caller.
refuse_exposed() {
	local parent mode owner
	[[ -z $1 && $strip_suid == false && $one_id == false ]] || return 0
	parent=$(readlink -f -- "$(dirname -- "$2")") || return 0
	while :; do
		read -r mode owner < <(stat -c '%a %u' -- "$parent")
		if (((8#$mode & 8#011) == 0 && (owner == EUID || owner == 0))); then
			return 0
		fi
		[[ $parent != / ]] || break
		parent=$(dirname -- "$parent")
	done
	die "$2: set-uid files in it would be yours, and others can reach it. One of: --strip-suid; DIR below a directory that you
	alone can search (chmod 0700)$( ((EUID == 0)) && printf '; --owner USER')"
}

# in_map [--offline] COMMAND...: as root of the map, able to write in $work, which is its working directory, and nowhere
# else: the descriptors of the directories above are closed, since they lead to mounts that can be written. Input is
# descriptor 3. The status is COMMAND's.
in_map() {
	in_map_start "$@"
	in_map_wait
}
in_map_start() {
	local more=()
	if [[ $1 == --offline ]]; then
		more=(--offline)
		shift
	fi
	# In the background, since a trap waits for a command in the foreground.
	"${python[@]}" "$here/lib/confine.py" "${confine_ids[@]}" --place "$work" --prog "$prog" "${more[@]}" -- "$@" \
		<&3 3<&- {place_fd}<&- {stage_fd}<&- &
	child=$!
}
in_map_wait() {
	local status=0
	wait "$child" || status=$?
	child=''
	return "$status"
}

# work_begin DIR: tree_begin, and $work belongs to the map's root, with the unpacker in it: the path to the original may be closed
# to the ids of the map.
work_begin() {
	tree_begin "$1"
	cp -- "$here/lib/unpack.py" "$work/unpack.py"
	chmod 0644 -- "$work/unpack.py"
	((EUID != 0)) || chown "$root_ids" -- "$work"
	exec 3</dev/null
	unpack=("${python[@]}" unpack.py)
	[[ $one_id == false ]] || unpack+=(--squash)
	[[ $quiet == false ]] || unpack+=(--quiet)
}

# unpack_tree NAME OPTION... DIR: the archive that descriptor 3 has; messages call it NAME.
unpack_tree() {
	local name=$1 status=0
	shift
	in_map --offline "${unpack[@]}" --prog "$prog" --name "$name" "$@" || status=$?
	((status == 0)) || exit 1 # it said why
}

# scrub_tree: what a program unpacked into $tree, without devices and, with --strip-suid, without set-id bits.
scrub_tree() {
	local more=(--scrub)
	[[ $strip_suid == false ]] || more+=(--strip-suid)
	unpack_tree "$said" "${more[@]}" tree
}

# image_py NAME VERB...: lib/image.py; messages call the image NAME.
image_py() {
	local name=$1
	shift
	"${python[@]}" "$here/lib/image.py" --prog "$prog" --name "$name" "$@"
}
