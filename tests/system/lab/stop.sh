#!/bin/bash
# Stops exactly what start.sh started in RUN, by process id.
: "${RUN:?}"

# stop PIDFILE: TERM, ten seconds of patience, KILL
stop() {
	local pid
	[ -s "$1" ] || return 0
	pid=$(tr -d ' \n' <"$1")
	if kill -TERM "$pid" 2>/dev/null; then
		for _ in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep .1
		done
		kill -KILL "$pid" 2>/dev/null
	fi
	rm -f "$1"
}

if [ -f "$RUN/postfix/etc/main.cf" ]; then
	postfix -c "$RUN/postfix/etc" stop >>"$RUN/log/postfix-start.log" 2>&1
fi
stop "$RUN/dovecot/base/master.pid"
stop "$RUN/oidc.pid"
exit 0
