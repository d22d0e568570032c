#!/bin/bash
# Installs what the system tests need on Debian 12: the servers of the lab, the
# mail clients, and the OpenID provider from the lock file. Run as root. Quick
# and offline when all is present; starts no daemon of the system's own.
#	install.sh [--check]	--check: only say (by exit code) if all is here
set -eu
cd "$(dirname "$0")"

servers="dovecot-core dovecot-imapd dovecot-pop3d dovecot-submissiond
	dovecot-lmtpd postfix"
clients="curl swaks libnet-ssleay-perl msmtp isync fetchmail"
tools="openssl jq python3 procps iproute2 util-linux mount e2fsprogs
	xfsprogs"

missing() {
	local p
	for p in $servers $clients $tools; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null |
			grep -qx installed || echo "$p"
	done
	# Any Node.js will do, it need not be Debian's.
	command -v node >/dev/null || echo nodejs
	command -v npm >/dev/null || echo npm
}

# The file npm writes when it has finished, and the lock it was made from.
modules_current() {
	[ -f node_modules/.package-lock.json ] &&
		cmp -s package-lock.json node_modules/.installed-lock
}

if [ "${1:-}" = --check ]; then
	[ -z "$(missing)" ] && modules_current
	exit
fi

want=$(missing)
if [ -n "$want" ]; then
	export DEBIAN_FRONTEND=noninteractive
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		# invoke-rc.d asks this program: 101 forbids every start.
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		trap 'rm -f $policy' EXIT
	fi
	apt-get -o DPkg::Lock::Timeout=600 -qq update
	# shellcheck disable=SC2086  # a list of words
	apt-get -o DPkg::Lock::Timeout=600 -qq install -y \
		--no-install-recommends $want >/dev/null
fi

if ! modules_current; then
	npm ci --no-audit --no-fund --loglevel=error
	cp package-lock.json node_modules/.installed-lock
fi
