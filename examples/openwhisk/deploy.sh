#!/usr/bin/env bash
# Deploys, on this machine, a controller, a router, two platforms that serve the action /guest/copy,
# and wskproxy in front of them; shows a few invocations, and runs until Ctrl-C.
#
# usage: examples/openwhisk/deploy.sh [--once]     --once: end after the invocations
#
# PROGRAMS names a folder of programs that are built already; without it they are built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ -z "${PROGRAMS:-}" ]; then
  (cd "$root" && cargo build --release --locked \
    --bin edgecontroller --bin edgerouter --bin edgecomputer --bin wskproxy)
  PROGRAMS=$root/target/release
fi

controller=127.0.0.1:6475
router=127.0.0.1:6473
tables=127.0.0.1:6474
api=http://127.0.0.1:20000
folder=$(mktemp -d)
pids=()

finish() {
  trap - EXIT INT TERM
  # The proxy first, so that what is in flight ends.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill -TERM "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM

run() {
  local name=$1
  shift
  "$PROGRAMS/$name" "$@" --admin-endpoint "" 2>>"$folder/$name.log" &
  pids+=($!)
}

run edgecontroller --server-endpoint "$controller"
for port in 10000 10001; do
  run edgecomputer --server-endpoint "127.0.0.1:$port" --utilization-endpoint "" \
    --controller-endpoint "$controller" --conf "type=file,path=$here/platform.json"
done
run edgerouter --server-endpoint "$router" --configuration-endpoint "$tables" \
  --controller-endpoint "$controller" --table-conf type=round-robin
run wskproxy --open --wsk-api-root "$api" --server-endpoint "$router" --table-endpoint "$tables"

for ((i = 0; ; i++)); do
  if curl -fs "$api/api/v1/namespaces/_/actions/copy" >/dev/null; then
    break
  fi
  if ((i == 100)); then
    echo "the action is not there after 10 seconds:" >&2
    tail -n 5 "$folder"/*.log >&2
    exit 1
  fi
  sleep 0.1
done

echo "wskproxy serves $api (any credentials, this machine only). The actions:"
curl -fs "$api/api/v1/namespaces/_/actions?limit=10"
printf '\n\nThe same action four times, and who executed it:\n'
for n in 1 2 3 4; do
  curl -fs -X POST -H 'Content-Type: application/json' -d "{\"input\":\"hello $n\"}" \
    "$api/api/v1/namespaces/guest/actions/copy?blocking=true" |
    sed -E 's/.*"soe.responder","value":"([^"]*)".*"result":(\{[^}]*\}).*/  \1  \2/'
  echo
done
[ "${1:-}" != --once ] || exit 0
printf '\nwsk --apihost %s --auth u:k action invoke /guest/copy -r -p input hello\n' "$api"
echo "Ctrl-C ends it."
wait
