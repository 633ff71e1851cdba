#!/usr/bin/env bash
# How much a node takes on this machine: a node starts on free ports, claims are sent at rising rates, and the highest
# rate that kept its bounds (loss, refusals, p99) is the knee. The report is one HTML page.
#
# Run it: examples/load.sh [REPORT.html]
#   RAMP=FROM:TO:STEP   rates in claims a second; default 20000:200000:20000
#   DURATION=SECONDS    of each rate; default 5
#   CLAIMWIRE=COMMAND   how the command line is called; default npx claimwire
set -euo pipefail
report=${1:-load.html}
ramp=${RAMP:-20000:200000:20000}
duration=${DURATION:-5}
read -ra claimwire <<<"${CLAIMWIRE:-npx claimwire}"

data=$(mktemp -d)
"${claimwire[@]}" node --data "$data" --udp 127.0.0.1:0 --http 127.0.0.1:0 >"$data.ready" &
node=$!

# The node's first line is JSON and says where it listens, and under which process id: npx does not pass signals on.
value() { sed -n "1s/.*\"$1\":\"*\([^\",]*\).*/\1/p" "$data.ready"; }
stop() {
  kill "$(value pid)" 2>/dev/null || kill "$node" 2>/dev/null || true
  wait "$node" || true
  rm -rf "$data" "$data.ready"
}
trap stop EXIT
until [[ -s $data.ready ]]; do
  kill -0 "$node" || exit 1
  sleep 0.1
done

"${claimwire[@]}" load --to "udp://$(value udp)" --http "http://$(value http)" --token-file "$data/admin-token" \
  --ramp "$ramp" --duration "$duration" --report "$report" && verdict=0 || verdict=$?
echo "report: $report"
exit "$verdict" # 0 where some rate kept the bounds
