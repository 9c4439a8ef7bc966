#!/usr/bin/env bash
# Lets schemathesis make up requests from our description of MEC 016, good and bad ones, and
# send them to the real server: mx2_schemathesis.sh FOLDER-OF-PROGRAMS VENV
set -euo pipefail
programs=$1
venv=$2
work=$(mktemp -d)
cleanup() {
  if [ -n "${server:-}" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
root=http://127.0.0.1:$port
echo "* clambda0 127.0.0.1:10000" >"$work/routes"
"$programs/ueapplcmproxy" --etsi-api-root "$root" --server-endpoint 127.0.0.1:0 \
  --admin-endpoint "" --file "$work/routes" --log warn &
server=$!
for _ in $(seq 100); do
  if "$programs/etsimeccli" --etsi-api-root "$root" >/dev/null 2>&1; then break; fi
  sleep 0.1
done

# Requests are read more leniently than described, on purpose: what the description forbids
# may succeed. And whether an application exists, or a callback may be called, no schema can say.
"$venv/bin/schemathesis" run "$root/dev_app/v1/openapi.json" --url "$root/dev_app/v1" \
  --checks all --exclude-checks negative_data_rejection,positive_data_acceptance \
  --max-examples "${EXAMPLES:-50}" --request-timeout 10 --seed 1 --no-color
kill -0 "$server"
