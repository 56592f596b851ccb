# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A kernel of Debian's, and the initramfs that boots it. Sourced by prepare, which has $top, $here, $suite and the private directory $work.

top=${top:?} suite=${suite:?} work=${work:-}

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# apt_begin RELEASE: a state of apt's own below $work, so that nothing is asked of the host's lists or written to them. Its
# configuration counts otherwise: proxies are there.
apt_begin() {
	local list=$work/sources.list
	# shellcheck source=rootfs-scripts/archives.sh
	source "$top/rootfs-scripts/archives.sh"
	host_debian "$suite"
	[[ -n $main_uri ]] || die "this host's apt sources name no Debian archive"
	[[ -e $keyring ]] || die "$keyring is missing: apt-get install debian-archive-keyring"
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$main_uri" "$1" >"$list"
	if [[ $1 == "$suite" ]]; then
		[[ $updates == false ]] || printf 'deb [signed-by=%s] %s %s-updates main\n' "$keyring" "$main_uri" "$1" >>"$list"
		[[ -z $security_uri ]] || printf 'deb [signed-by=%s] %s %s-security main\n' "$keyring" "$security_uri" "$1" >>"$list"
	fi
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/etc"
	: >"$work/status"
	apt_options=(
		-o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::State::extended_states=$work/extended"
		-o "Dir::Cache=$work" -o "Dir::Etc::sourcelist=$list" -o "Dir::Etc::sourceparts=$work/etc"
		-o "Dir::Etc::preferences=$work/etc/none" -o "Dir::Etc::preferencesparts=$work/etc"
		-o "Acquire::Languages=none" -o "APT::Sandbox::User=root" -o "Acquire::Retries=2"
		-o "APT::Get::AllowUnauthenticated=false" -o "Acquire::AllowInsecureRepositories=false"
		-o "APT::Architecture=amd64" -o "APT::Architectures::=amd64"
		-qq
	)
}

# unpack_vmlinux VMLINUZ OUT: the ELF file in it, which boots sooner, since nothing is decompressed under emulation.
unpack_vmlinux() {
	python3 - "$1" "$2" <<-'EOF'
		import bz2, gzip, lzma, struct, subprocess, sys
		image = open(sys.argv[1], "rb").read()
		# The header's fields are described in the kernel's Documentation/arch/x86/boot.rst.
		offset, length = struct.unpack_from("<II", image, 0x248)
		offset += ((image[0x1F1] or 4) + 1) * 512
		data = image[offset:offset + length]
		def program(*words):
		    return subprocess.run(words, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
		def xz():
		    return lzma.LZMADecompressor().decompress(data)  # what is behind it is the length, which is not xz's
		kinds = {b"\xfd7zXZ\0": xz, b"\x28\xb5\x2f\xfd": lambda: program("zstd", "-dc"),
		         b"\x1f\x8b": lambda: program("gzip", "-dc"), b"\x02\x21\x4c\x18": lambda: program("lz4", "-dc"),
		         b"BZh": lambda: bz2.BZ2Decompressor().decompress(data)}
		for magic, decompress in kinds.items():
		    if data.startswith(magic):
		        elf = decompress()
		        if elf.startswith(b"\x7fELF"):
		            open(sys.argv[2], "wb").write(elf)
		            sys.exit(0)
		sys.exit(1)
	EOF
}

# make_initramfs VERSION: busybox, and the modules that reach the root in the order in which they are loaded; tests/vm/run adds the
# rest for each boot. It is not compressed, for the same reason.
make_initramfs() {
	local version=$1 root=$work/initramfs busybox module file
	# A static one: that of busybox-static.
	busybox=$(type -P busybox) || die "busybox is missing: apt-get install busybox-static"
	mkdir -p "$root"/{bin,modules,proc,sys,dev,host,tmpfs,root}
	cp -- "$busybox" "$root/bin/busybox"
	for module in virtio_pci virtio_blk virtio_console ext4 9pnet_virtio 9p overlay; do
		modprobe -d "$work/new" -S "$version" --show-depends "$module" || die "linux $version: no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
	while IFS= read -r file; do
		module=${file##*/}
		case $file in
		*.xz) xz -dc -- "$file" >"$root/modules/${module%.xz}" ;;
		*.zst) zstd -dcq -- "$file" >"$root/modules/${module%.zst}" ;;
		*.gz) gzip -dc -- "$file" >"$root/modules/${module%.gz}" ;;
		*) cp -- "$file" "$root/modules/" ;;
		esac
		module=${module%.ko*}.ko
		printf '%s\n' "$module" >>"$root/modules/order"
	done <"$work/modules"
	(cd -- "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$work/new/initramfs"
	# The archive of one boot follows it, and the kernel looks for that at a multiple of four (Documentation/driver-api/early-userspace).
	truncate -s %512 "$work/new/initramfs"
}

make_kernel() {
	local what=$1 place=$2 release=$suite depends version package file
	[[ $what == stock ]] || release=$suite-backports
	apt_begin "$release"
	# An error of apt's is one of ours unless something is there.
	if ! apt-get "${apt_options[@]}" update >"$work/log" 2>&1 ||
		! depends=$(apt-cache "${apt_options[@]}" show --no-all-versions linux-image-amd64 2>>"$work/log" | sed -n 's/^Depends: //p') ||
		[[ ! $depends =~ ^(linux-image-([^ ]+))\ \(=\ ([^\)]+)\) ]]; then
		if [[ -e $place/vmlinux ]]; then
			say "the archive cannot be reached; the kernel stays $(<"$place/version")"
			return
		fi
		tail -n 5 "$work/log" >&2
		die "$release: no kernel can be fetched"
	fi
	package=${BASH_REMATCH[1]} version=${BASH_REMATCH[2]}
	if [[ -e $place/vmlinux && $(<"$place/version") == "${BASH_REMATCH[1]} ${BASH_REMATCH[3]}" ]]; then
		touch -- "$place/asked"
		return
	fi
	say "fetching $package ${BASH_REMATCH[3]}"
	mkdir -p "$work/new"
	printf '%s %s\n' "$package" "${BASH_REMATCH[3]}" >"$work/new/version"
	(cd -- "$work" && apt-get "${apt_options[@]}" download "$package") >"$work/log" 2>&1 || {
		tail -n 5 "$work/log" >&2
		die "$package: cannot be fetched"
	}
	for file in "$work"/linux-image-*.deb; do
		dpkg-deb -x "$file" "$work/unpacked"
	done
	mkdir -p "$work/new/lib"
	# Debian 13 has them below /usr.
	for file in "$work/unpacked"/lib/modules "$work/unpacked"/usr/lib/modules; do
		[[ ! -d $file ]] || mv -- "$file" "$work/new/lib/modules"
	done
	depmod -b "$work/new" "$version"
	unpack_vmlinux "$work/unpacked/boot/vmlinuz-$version" "$work/new/vmlinux" || {
		say "linux $version: its ELF file cannot be unpacked; vmlinuz boots some seconds later"
		cp -- "$work/unpacked/boot/vmlinuz-$version" "$work/new/vmlinux"
	}
	make_initramfs "$version"
	touch -- "$work/new/asked"
	# A machine that runs has its modules from the older one.
	mv -T -- "$work/new" "$place.$version-$$"
	ln -s -- "${place##*/}.$version-$$" "$work/link"
	mv -f -T -- "$work/link" "$place"
}
