#!/bin/sh
# Tokens and approvals at the running lab: see oidc-token.mjs. RUN is required.
export RUN="${RUN:?}"
export NODE_NO_WARNINGS=1 NODE_EXTRA_CA_CERTS="$RUN/tls/ca.crt"
exec node "$(dirname "$0")/oidc-token.mjs" "$@"
