# shellcheck shell=bash
# What the programs of this folder share; for bash, to be sourced.

# What root starts, another user runs: each folder above must let it in.
may_enter() {
	local at=$1 mode
	[ "$(id -u)" = 0 ] || return 0
	while [ "$at" != / ]; do
		if [ -e "$at" ]; then
			mode=$(stat -Lc %a "$at")
			[ $((mode & 1)) -eq 1 ] || return 1
		fi
		at=$(dirname "$at")
	done
}

# Prints the folder for what is made: build-NAME beside the sources, unless
# they are where nobody else can go, as in /root.
default_dir() { # ROOT NAME
	if may_enter "$1"; then
		echo "$1/build-$2"
	else
		echo "/var/tmp/mailbearer-$2"
	fi
}
