# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Which Debian archives this host's own apt sources name. Sourced by what makes trees and machines of Debian packages.

# host_archives: "URI RELEASE" of this host's sources that are Debian's, as apt understands them, without their options.
host_archives() {
	local uri release origin found
	command -v apt-get >/dev/null || return 0
	# The origin is known where lists have been fetched. apt fills in what is between the parentheses.
	# shellcheck disable=SC2016
	found=$(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(ORIGIN)' 'Created-By: Packages' 2>/dev/null | sort -u)
	[[ $found == *'|Debian'* ]] || found=$(apt-get -o Debug::NoLocking=1 --print-uris update 2>/dev/null |
		sed -nE "s;^'([^']*/debian(-security)?/*)/dists/([^'/]+)/InRelease'.*;\1|\3|Debian;p")
	while IFS='|' read -r uri release origin; do
		if [[ $origin == Debian && ! $uri =~ [][:space:]\[\"] ]]; then
			printf '%s %s\n' "$uri" "$release"
		fi
	done <<<"$found"
}

# shellcheck disable=SC2034 # for the script that sources this
# host_debian SUITE: sets main_uri (empty: none), security_uri (empty: none) and updates (true or false).
host_debian() {
	local suite=$1 uri release exact=false
	main_uri='' security_uri='' updates=false
	while read -r uri release; do
		case $release in
		*-security | */updates) security_uri=${security_uri:-$uri} ;;
		*-updates) updates=true ;;
		*-backports* | *-proposed*) ;;
		*)
			if [[ -z $main_uri || $exact == false && $release == "$suite" ]]; then
				main_uri=$uri
				[[ $release != "$suite" ]] || exact=true
			fi
			;;
		esac
	done < <(host_archives)
}
