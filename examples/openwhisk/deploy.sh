#!/usr/bin/env bash
# Deploys, on this machine, a controller, a router, a computer in front of each OpenWhisk that it is
# given, and wskproxy in front of them; puts the action /guest/copy onto each OpenWhisk; shows a few
# invocations, and runs until Ctrl-C.
#
# usage: examples/openwhisk/deploy.sh [--once] [--openwhisk URL UUID:KEY]...
#   --once        end after the invocations
#   --openwhisk   an OpenWhisk that is there, and its credentials; several are several platforms.
#                 An action of that name that is there already is used as it is.
#                 Without it, two are started here: ours of one process, which needs Node.
#   --insecure    take any certificate of theirs
#
# PROGRAMS names a folder of programs that are built already; without it they are built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

once=false
insecure=()
urls=()
keys=()
while (($#)); do
  case $1 in
    --once) once=true ;;
    --insecure) insecure=(--insecure) ;;
    --openwhisk)
      (($# >= 3)) || { echo "--openwhisk needs a URL and UUID:KEY" >&2; exit 2; }
      urls+=("${2%/}")
      keys+=("$3")
      shift 2
      ;;
    *)
      sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
      [ "$1" = --help ] && exit 0 || exit 2
      ;;
  esac
  shift
done

if [ -z "${PROGRAMS:-}" ]; then
  (cd "$root" && cargo build --release --locked \
    --bin edgecontroller --bin edgerouter --bin edgecomputerwsk --bin wskproxy &&
    cargo build --release --locked -p edge-computer --example openwhisk_server)
  PROGRAMS=$root/target/release
fi

controller=127.0.0.1:6475
router=127.0.0.1:6473
tables=127.0.0.1:6474
api=http://127.0.0.1:20000
folder=$(mktemp -d)
pids=()
ours=()

finish() {
  trap - EXIT INT TERM
  # The proxy first, so that what is in flight ends.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill -INT "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  leave
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM

background() {
  local log=$1
  shift
  "$@" 2>>"$folder/$log.log" &
  pids+=($!)
}

run() {
  local name=$1
  shift
  background "$name" "$PROGRAMS/$name" "$@" --admin-endpoint ""
}

# wait_for WHAT COMMAND...: until the command succeeds, ten seconds at the most.
wait_for() {
  local what=$1
  shift
  for ((i = 0; i < 100; i++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$what is not there after 10 seconds:" >&2
  tail -n 5 "$folder"/*.log >&2
  exit 1
}

# platform N METHOD [ARGUMENTS]: asks the Nth OpenWhisk about the action; prints the status.
platform() {
  local n=$1 method=$2
  shift 2
  printf 'user = "%s"\n' "${keys[n]}" |
    curl -s -K - ${insecure[@]+"--insecure"} --max-time 30 -o "$folder/answer" -w '%{http_code}' \
      -X "$method" "$@" "${urls[n]}/api/v1/namespaces/_/actions/copy"
}

# Takes the action away from where it was not before.
leave() {
  for n in ${ours[@]+"${ours[@]}"}; do
    platform "$n" DELETE >/dev/null || true
  done
}

given=${#urls[@]}
if ((given == 0)); then
  for n in 0 1; do
    background openwhisk_server "$PROGRAMS/examples/openwhisk_server" 127.0.0.1:0 >"$folder/server$n"
  done
  for n in 0 1; do
    wait_for "an OpenWhisk of ours" grep -q url "$folder/server$n"
    urls+=("$(sed -E 's/.*"url":"([^"]*)".*/\1/' "$folder/server$n")")
    keys+=("$(sed -E 's/.*"auth":"([^"]*)".*/\1/' "$folder/server$n")")
  done
fi

code='function main(params) { return { payload: params.input, node: process.version } }'
for n in "${!urls[@]}"; do
  status=$(platform "$n" PUT -H 'Content-Type: application/json' \
    -d "{\"exec\":{\"kind\":\"nodejs:default\",\"code\":\"$code\"}}") || true
  case $status in
    # Those that were started here go with all they have.
    200) if ((given > 0)); then ours+=("$n"); fi ;;
    409) ;;
    *)
      echo "${urls[n]} does not take the action (${status:-no answer}):" >&2
      cat "$folder/answer" >&2 2>/dev/null || true
      exit 1
      ;;
  esac
done

run edgecontroller --server-endpoint "$controller"
for n in "${!urls[@]}"; do
  (umask 077 && printf '%s' "${keys[n]}" >"$folder/key$n")
  run edgecomputerwsk --server-endpoint "127.0.0.1:$((10000 + n))" --utilization-endpoint "" \
    --controller-endpoint "$controller" --wsk-api-root "${urls[n]}" \
    --wsk-auth-file "$folder/key$n" ${insecure[@]+"--insecure"}
done
run edgerouter --server-endpoint "$router" --configuration-endpoint "$tables" \
  --controller-endpoint "$controller" --table-conf type=round-robin
run wskproxy --open --wsk-api-root "$api" --server-endpoint "$router" --table-endpoint "$tables"

invoke() {
  curl -fs -X POST -H 'Content-Type: application/json' -d "{\"input\":\"$1\"}" \
    "$api/api/v1/namespaces/guest/actions/copy?blocking=true"
}

# Whether each platform answers in its turn.
complete() {
  local answers
  answers=$(for n in "${!urls[@]}"; do invoke "are you there?" && echo; done) || return 1
  [ "$(sed -E 's/.*"soe.responder","value":"([^"]*)".*/\1/' <<<"$answers" | sort -u | wc -l)" \
    -eq "${#urls[@]}" ]
}
wait_for "the action on all platforms" complete
listed() { curl -fs "$api/api/v1/namespaces/_/actions" | grep -q '"copy"'; }
wait_for "the action in the list" listed

echo "wskproxy serves $api (any credentials, this machine only). The actions:"
curl -fs "$api/api/v1/namespaces/_/actions?limit=10"
printf '\n\nThe same action four times, and who executed it:\n'
for n in 1 2 3 4; do
  invoke "hello $n" |
    sed -E 's/.*"soe.responder","value":"([^"]*)".*"result":(\{[^}]*\}).*/  \1  \2/'
  echo
done
if $once; then exit 0; fi
printf '\nwsk --apihost %s --auth u:k action invoke /guest/copy -r -p input hello\n' "$api"
echo "Ctrl-C ends it."
wait
