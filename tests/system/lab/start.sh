#!/bin/bash
# Starts a mail provider made of real parts, on 127.0.0.1 only: oidc-provider
# (OpenID), Dovecot (IMAP, POP3, LMTP, submission), Postfix (MX, submission).
# Needs root: Postfix's master and Dovecot change user. All state goes to RUN,
# the ports are BASE+n, both chosen by the caller; RUN/env names everything.
#	RUN=dir BASE=port [option=value...] start.sh
# options	default			meaning
# MODE		opaque			jwt: Dovecot checks tokens by itself
# MECHS		xoauth2 oauthbearer	what Dovecot and Postfix offer
# PLAIN		0			1: also PLAIN, LOGIN with alice-mail-pw...
# ACCESS_TTL, REFRESH_TTL, ROTATE	lives in seconds, refresh rotation 0|1
# BARE_NL, DATA_RESTR, FORBID_PIPE	Postfix's guards against smuggling
# AUTH_PENALTY_MODE 0			0600: Dovecot's penalty per address
# Users and clients come from RUN/users.json and RUN/clients.json if present,
# else from conf/.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${RUN:?}" "${BASE:?}"
: "${MODE:=opaque}" "${PLAIN:=0}" "${MECHS:=xoauth2 oauthbearer}"
: "${BARE_NL:=normalize}" "${FORBID_PIPE:=yes}" "${AUTH_PENALTY_MODE:=0}"
DATA_RESTR=${DATA_RESTR-reject_unauth_pipelining}
[ "$PLAIN" = 0 ] || MECHS="$MECHS plain login"
etc=$RUN/postfix/etc

die() { echo "lab: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
# sun_path holds 107 bytes, Dovecot's longest name takes 45 of them.
[ ${#RUN} -lt 60 ] || die "RUN is too long for unix sockets"

# --- ports
ports="MX_PORT=25 LMTP_PORT=24 SUBMISSION_PORT=587 SMTPS_PORT=465
	DOVECOT_SUBMISSION_PORT=588 DOVECOT_SMTPS_PORT=466 IMAP_PORT=143
	IMAPS_PORT=993 POP3_PORT=110 POP3S_PORT=995 OIDC_PORT=443
	CONTROL_PORT=444"
numbers=
for p in $ports; do
	n=$((BASE + ${p#*=}))
	declare "${p%%=*}=$n"
	numbers="$numbers $n"
done
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for n in $numbers; do
	! answers "$n" || die "port $n is taken"
done

mkdir -p "$RUN"/{tls,log,mail,dovecot,postfix/etc,postfix/data,postfix/spool}
chmod 755 "$RUN"
chown mail:mail "$RUN/mail"
for f in users.json clients.json; do
	[ -f "$RUN/$f" ] || install -m 600 "$here/conf/$f" "$RUN/$f"
done
users=$(jq -r 'keys[]' "$RUN/users.json")
MAIL_UID=$(id -u mail)
MAIL_GID=$(id -g mail)

# fill TEMPLATE FILE: puts our variables for @NAME@
fill() {
	local name script=
	for name in RUN BASE MECHS MAIL_UID MAIL_GID BARE_NL DATA_RESTR \
		FORBID_PIPE AUTH_PENALTY_MODE $(printf '%s\n' $ports |
		cut -d= -f1); do
		script="$script;s|@$name@|${!name}|g"
	done
	sed "$script" "$here/conf/$1" >"$2"
}

# --- a small CA and one server certificate
make_certificates() {
	local ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
	cat >server.ext <<-END
		subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:mail.example.test
		extendedKeyUsage=serverAuth
		basicConstraints=CA:FALSE
	END
	openssl req -x509 $ec -days 3650 -subj "/CN=Test provider CA" \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout ca.key -out ca.crt
	openssl req $ec -subj /CN=localhost -keyout server.key -out server.csr
	openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key \
		-CAcreateserial -days 825 -extfile server.ext -out server.crt
	chmod 644 ca.crt server.crt
	chmod 600 ca.key server.key
}
[ -f "$RUN/tls/server.crt" ] ||
	(cd "$RUN/tls" && make_certificates) 2>"$RUN/log/openssl.log"

{
	echo "RUN=$RUN"
	echo "HOST=localhost"
	for p in $ports; do
		echo "${p%%=*}=$(eval "echo \$${p%%=*}")"
	done
	echo "ISSUER=https://localhost:$OIDC_PORT"
	echo "CONTROL=http://127.0.0.1:$CONTROL_PORT"
	echo "CA=$RUN/tls/ca.crt"
	echo "MODE=$MODE"
} >"$RUN/env"

# --- the OpenID provider
NODE_NO_WARNINGS=1 setsid node "$here/oidc-server.mjs" "$RUN" "$BASE" "$MODE" \
	>>"$RUN/log/oidc.log" 2>&1 </dev/null &
echo $! >"$RUN/oidc.pid"

# --- Dovecot
for u in $users; do
	pw='!'
	[ "$PLAIN" = 0 ] || pw="{PLAIN}${u%%@*}-mail-pw"
	echo "$u:$pw:$MAIL_UID:$MAIL_GID::$RUN/mail/$u::"
done >"$RUN/dovecot/users"
fill dovecot.conf.in "$RUN/dovecot/dovecot.conf"
fill "oauth2-$MODE.conf.in" "$RUN/dovecot/oauth2.conf"
[ "$PLAIN" = 0 ] || fill plain.conf.in "$RUN/dovecot/plain.conf"
chown root:dovecot "$RUN"/dovecot/{users,oauth2.conf}
chmod 640 "$RUN"/dovecot/{users,oauth2.conf}
if [ "$MODE" = jwt ]; then
	# Dovecot looks for <azp or "default">/<algorithm>/<key id>.
	for _ in $(seq 50); do [ -s "$RUN/jwt-pub.pem" ] && break; sleep .1; done
	mkdir -p "$RUN/dovecot/keys/default/RS256"
	cp "$RUN/jwt-pub.pem" "$RUN/dovecot/keys/default/RS256/k1"
	chmod -R a+rX "$RUN/dovecot/keys"
fi
dovecot -c "$RUN/dovecot/dovecot.conf" >"$RUN/log/dovecot-start.log" 2>&1 \
	</dev/null || die "$(cat "$RUN/log/dovecot-start.log")"

# --- Postfix. These recipients go wrong on purpose.
chown postfix "$RUN/postfix/data"
cat >"$etc/rcpt" <<-END
	tempfail@example.test 450 4.2.0 mailbox busy, try later
	permfail@example.test 550 5.2.1 mailbox disabled
	drop@example.test 421 4.3.2 closing connection
END
cat >"$etc/eod" <<-END
	eodtemp@example.test 451 4.3.0 message not taken, try later
	eodperm@example.test 554 5.6.0 message refused
END
{
	for u in $users; do echo "$u x"; done
	cat "$etc/rcpt" "$etc/eod" | sed 's/ .*/ x/'
} >"$etc/mailboxes"
for u in $users; do echo "$u $u"; done >"$etc/senders"
echo '!/@example\.test$/ outside@example.test' >"$etc/outside.re"
(umask 077; cat "$RUN"/tls/server.{key,crt} >"$etc/chain.pem")
fill main.cf.in "$etc/main.cf"
fill master.cf.in "$etc/master.cf"
postfix -c "$etc" start >"$RUN/log/postfix-start.log" 2>&1 ||
	die "$(cat "$RUN/log/postfix-start.log")"

# --- ready when every port answers
for n in $numbers; do
	for _ in $(seq 100); do answers "$n" && continue 2; sleep .1; done
	"$here/stop.sh" || true
	die "port $n did not open; see $RUN/log"
done
