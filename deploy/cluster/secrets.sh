#!/bin/bash
# Makes what the nodes of a cluster share: secrets.sh FOLDER [NAME-OR-ADDRESS …]
# One certificate serves all nodes here. On machines of their own give each its own, for its own name alone.
set -euo pipefail
folder=${1:?expected a folder, got nothing}
shift
[ $# -gt 0 ] || set -- node-a node-b node-c 127.0.0.1
[ ! -e "$folder" ] || { echo "$folder: expected no such folder yet, got one; remove it to make all anew" >&2; exit 1; }
umask 077
mkdir -p "$folder"
cd "$folder"
names=
for name in "$@"; do
  if [[ $name =~ ^[0-9.]+$|: ]]; then names+="IP:$name,"; else names+="DNS:$name,"; fi
done
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=claimwire cluster" -out ca.pem
openssl ecparam -name prime256v1 -genkey -noout -out node.key
openssl req -new -key node.key -subj "/CN=claimwire node" -out node.csr
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${names%,}" > node.ext
openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile node.ext -out node.pem 2> /dev/null
rm node.csr node.ext ./*.srl
openssl rand -hex 32 > cluster-token
openssl rand -hex 24 > db-password
cp db-password node-db-password
# In containers these are read by the users of the images: nodes run as 10001, PostgreSQL as 999.
if [ "$(id -u)" = 0 ]; then
  chown 10001 node-db-password cluster-token ca.pem node.pem node.key
  chown 999 db-password
  chmod 711 .
fi
echo "$folder: ca.pem node.pem node.key cluster-token db-password; keep ca.key elsewhere"
