#!/bin/bash
# The same without Docker, on loopback: local.sh FOLDER [COMMAND]. COMMAND is what starts claimwire; default: claimwire.
# Needs PostgreSQL's programs (Debian: apt-get install postgresql) and a user other than root. Ctrl-C stops all of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath -m "${1:?expected a folder, got nothing}")
claimwire=${2:-claimwire}
first_db_port=${DB_PORT:-15432}
first_port=${PORT:-9393}
[ "$(id -u)" != 0 ] || { echo "expected a user other than root, whom PostgreSQL refuses" >&2; exit 1; }
bin=$(command -v initdb > /dev/null && dirname "$(command -v initdb)" || ls -d /usr/lib/postgresql/*/bin | tail -1)
PATH=$bin:$PATH
mkdir -p "$folder"
[ -d "$folder/secrets" ] || "$here/secrets.sh" "$folder/secrets" 127.0.0.1
export PGPASSWORD
PGPASSWORD=$(cat "$folder/secrets/db-password")
pids=()
stop() {
  trap - EXIT INT TERM
  # Nodes first: each gives its shards to the others, and the last one keeps them.
  [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" 2> /dev/null || true; wait "${pids[@]}" 2> /dev/null || true; }
  for number in 3 2 1; do pg_ctl --pgdata "$folder/db-$number" --mode fast --silent stop 2> /dev/null || true; done
}
trap stop EXIT
trap 'exit 0' INT TERM

start_db() {
  pg_ctl --pgdata "$folder/db-$1" --log "$folder/db-$1.log" --silent --wait start \
    --options "-p $((first_db_port + $1 - 1)) -c listen_addresses=127.0.0.1 -c unix_socket_directories="
}
if [ ! -d "$folder/db-1" ]; then
  initdb --pgdata "$folder/db-1" --username claimwire --pwfile "$folder/secrets/db-password" --auth scram-sha-256 > "$folder/initdb.log"
  start_db 1
  psql --quiet --host 127.0.0.1 --port "$first_db_port" --username claimwire --dbname postgres <<SQL
create database claimwire;
alter system set synchronous_standby_names = 'any 1 (standby_2, standby_3)';
select pg_reload_conf();
SQL
else
  start_db 1
fi > /dev/null
for number in 2 3; do
  [ -d "$folder/db-$number" ] || pg_basebackup --checkpoint fast --write-recovery-conf --pgdata "$folder/db-$number" \
    --dbname "host=127.0.0.1 port=$first_db_port user=claimwire application_name=standby_$number"
  start_db "$number"
done
hosts="127.0.0.1:$first_db_port,127.0.0.1:$((first_db_port + 1)),127.0.0.1:$((first_db_port + 2))"
for number in 0 1 2; do
  port=$((first_port + 10 * number))
  $claimwire node --data "$folder/node-$number" --node-name "node-$number" \
    --store "postgres://claimwire@$hosts/claimwire" --store-password-file "$folder/secrets/node-db-password" --cluster \
    --udp "127.0.0.1:$port" --http "127.0.0.1:$((port + 1))" --cluster-http "127.0.0.1:$((port + 2))" \
    --advertise "udp://127.0.0.1:$port,tcp://127.0.0.1:$port,https://127.0.0.1:$((port + 2))" \
    --cluster-ca "$folder/secrets/ca.pem" --cluster-cert "$folder/secrets/node.pem" --cluster-key "$folder/secrets/node.key" \
    --cluster-token-file "$folder/secrets/cluster-token" > "$folder/node-$number.log" 2>&1 &
  pids+=($!)
done
echo "payers: --to udp://127.0.0.1:$first_port,127.0.0.1:$((first_port + 10)) · operators: --http 127.0.0.1:$((first_port + 1)) --token-file $folder/secrets/cluster-token"
wait -n || true
echo "a node has ended; its log is in $folder" >&2
