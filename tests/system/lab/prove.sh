#!/bin/bash
# Proves the running lab end to end, without Mailbearer: curl and xoauth2.py
# sign in and send, tokens die when they should. Exit 0 only if all holds.
#	RUN=dir prove.sh
: "${RUN:?}"
here=$(cd "$(dirname "$0")" && pwd)
. "$RUN/env"
A=alice@example.test
B=bob@example.test
id=p$$-$RANDOM
n=0
bad=0

# check WHAT GOT WANTED
check() {
	n=$((n + 1))
	[ "$2" = "$3" ] && return
	bad=$((bad + 1))
	echo "NOT OK $n - $1: wanted '$3', got '$2'"
}
token() { "$here/token.sh" "$@" 2>/dev/null; }
field() { jq -r "$1" <<<"$2" 2>/dev/null; }
control() { curl -sS -X POST "$CONTROL/$1" "${@:2}" >/dev/null; }
crl() { curl -sS --max-time 20 --cacert "$CA" "$@" >/dev/null 2>&1; }

# curl takes OAUTHBEARER wherever it is offered, so XOAUTH2 goes by xoauth2.py.
offer=$(curl -sv --cacert "$CA" "imaps://localhost:$IMAPS_PORT/" -u x:x 2>&1 |
	grep -m1 '^< .*AUTH=')
mechs=XOAUTH2
case $offer in *AUTH=OAUTHBEARER*) mechs="XOAUTH2 OAUTHBEARER" ;; esac

# imap|pop3 USER TOKEN [MECHANISM]: prints curl's exit code
imap() { read_mail imap "$IMAPS_PORT" "$@"; }
pop3() { read_mail pop3 "$POP3S_PORT" "$@"; }
read_mail() {
	if [ "${5:-XOAUTH2}" = XOAUTH2 ]; then
		"$here/xoauth2.py" "$1" "$2" "$3" "$4" "$CA" 2>/dev/null
	else
		crl --user "$3" --oauth2-bearer "$4" "${1}s://localhost:$2/"
	fi
	echo $?
}
# smtp USER TOKEN MECHANISM smtps|smtp PORT RCPT ID [FROM]: curl's exit code
smtp() {
	local msg=$RUN/proof.eml from=${8:-$1} opt=
	[ "$4" = smtps ] || opt=--ssl-reqd
	printf '%s\r\n' "From: $from" "To: $6" "Subject: proof" \
		"Message-ID: <$7@proof>" "" "body" ".dot line" >"$msg"
	if [ "$3" = XOAUTH2 ]; then
		"$here/xoauth2.py" "$4" "$5" "$1" "$2" "$CA" "$from" "$6" \
			<"$msg" 2>/dev/null
	else
		crl $opt --user "$1" --oauth2-bearer "$2" --mail-from "$from" \
			--mail-rcpt "$6" -T "$msg" "$4://localhost:$5/"
	fi
	echo $?
}
# arrived USER ID: prints how many copies there are, waits for the first
arrived() {
	local c=0
	for _ in $(seq 80); do
		c=$(grep -rlF "Message-ID: <$2@proof>" \
			"$RUN/mail/$1/Maildir/new" 2>/dev/null | wc -l)
		[ "$c" = 0 ] || break
		sleep .1
	done
	echo "$c"
}

control clear || { echo "no lab is running in $RUN" >&2; exit 2; }
J=$(token code $A)
AT=$(field .access_token "$J")
RT=$(field .refresh_token "$J")
check "code flow gives a refresh token" "$([ ${#RT} -gt 20 ] && echo y)" y
if [ "$MODE" = opaque ]; then
	check "introspection says active" \
		"$(field '.active,.email' "$(token introspect "$AT")" |
			paste -sd' ')" "true $A"
fi

# --- every door, every mechanism
for m in $mechs; do
	check "imaps $m" "$(imap $A "$AT" $m)" 0
	check "pop3s $m" "$(pop3 $A "$AT" $m)" 0
	for door in "smtps $SMTPS_PORT" "smtp $SUBMISSION_PORT" \
		"smtps $DOVECOT_SMTPS_PORT" "smtp $DOVECOT_SUBMISSION_PORT"; do
		key=$id-$m-${door#* }
		check "$door $m" "$(smtp $A "$AT" $m $door $B $key)" 0
		check "$door $m arrived once" "$(arrived $B $key)" 1
	done
done
check "Dovecot saw each mechanism" "$(
	grep -oE 'method=(XOAUTH2|OAUTHBEARER)' "$RUN/log/dovecot.log" |
		sort -u | wc -l)" "$(wc -w <<<"$mechs")"
send="smtp $A $AT XOAUTH2 smtps $SMTPS_PORT"
check "outside recipient" "$($send x@elsewhere.invalid "$id-out")" 0
check "outside@ collects it" "$(arrived outside@example.test "$id-out")" 1

# --- what must be refused
check "bob with alice's token (imap)" "$(imap $B "$AT")" 67
check "bob with alice's token (smtp)" \
	"$(smtp $B "$AT" XOAUTH2 smtps "$SMTPS_PORT" $A "$id-x")" 67
check "garbage token" "$(imap $A nonsense)" 67
check "permfail@" "$($send permfail@example.test "$id-y")" 55
check "tempfail@" "$($send tempfail@example.test "$id-y")" 55
check "unknown recipient" "$($send nosuch@example.test "$id-y")" 55
check "eodtemp@" "$($send eodtemp@example.test "$id-y")" 8
check "eodperm@" "$($send eodperm@example.test "$id-y")" 8
check "another user's sender" "$($send $B "$id-y" $B)" 55

# --- the life of tokens
if [ "$MODE" = opaque ]; then
	check "a refresh token is no access token" "$(imap $A "$RT")" 67
	J=$(token refresh "$RT")
	AT2=$(field .access_token "$J")
	RT2=$(field .refresh_token "$J")
	check "refresh rotates" \
		"$([ "$RT2" != "$RT" ] && [ ${#RT2} -gt 20 ] && echo y)" y
	check "the new token works" "$(imap $A "$AT2")" 0
	token revoke "$AT2" >/dev/null
	for m in $mechs; do
		check "revoked: imaps $m" "$(imap $A "$AT2" $m)" 67
		check "revoked: pop3s $m" "$(pop3 $A "$AT2" $m)" 67
		for port in $SMTPS_PORT $DOVECOT_SMTPS_PORT; do
			check "revoked: smtps $port $m" \
				"$(smtp $A "$AT2" $m smtps $port $B "$id-r")" 67
		done
	done
	check "the first token still works" "$(imap $A "$AT")" 0
	check "a rotated refresh token is refused" \
		"$(field .error "$(token refresh "$RT")")" invalid_grant
	check "... kills the access token" "$(imap $A "$AT")" 67
	check "... and the newest refresh token" \
		"$(field .error "$(token refresh "$RT2")")" invalid_grant
fi
J=$(token device $B)
BT=$(field .access_token "$J")
BR=$(field .refresh_token "$J")
check "device flow" "$(imap $B "$BT")" 0
control "revoke-user?user=$B"
[ "$MODE" = jwt ] || check "signed out: access" "$(imap $B "$BT")" 67
check "signed out: refresh" \
	"$(field .error "$(token refresh "$BR")")" invalid_grant
control "set?accessTTL=1"
J=$(token code $A)
AT=$(field .access_token "$J")
RT=$(field .refresh_token "$J")
sleep 3 # the token's life is counted in whole seconds
check "expired token" "$(imap $A "$AT")" 67
control "set?accessTTL=3600"
export CLIENT
for CLIENT in proxy-post proxy-public; do
	for flow in code device; do
		check "client $CLIENT, $flow" \
			"$(imap $A "$(field .access_token \
				"$(token $flow $A)")")" 0
	done
done
CLIENT=proxy

# --- faults on order
control fault -d '{"path":"/token","status":503,"times":1}'
check "503 once" "$(field .error "$(token refresh "$RT")")" \
	temporarily_unavailable
check "... then works" \
	"$(imap $A "$(field .access_token "$(token refresh "$RT")")")" 0
BR=$(field .refresh_token "$(token code $B)")
control fault -d '{"path":"/token","after":true,"drop":true,"times":1}'
check "reply lost after the work" "$(token refresh "$BR")" ""
check "... the old refresh token is dead" \
	"$(field .error "$(token refresh "$BR")")" invalid_grant
control "disable?user=$B"
check "disabled user cannot sign in" "$(token code $B)" ""
control "enable?user=$B"

echo "$((n - bad)) passed, $bad failed"
[ $bad = 0 ]
