"""
Charges drops on a channel from Python, without any package: once for each key, and waiting up to 10 s for the payer's claims.

It needs a running node, and a token: claimwire token create --scope charge --out shop-token

Run it: python3 examples/charge.py http://127.0.0.1:9394 shop-token CHANNEL DROPS KEY
"""
import json, sys, urllib.error, urllib.request

url, token_file, channel, drops, key = sys.argv[1:]
headers = {"Authorization": "Bearer " + open(token_file).read().strip(), "Content-Type": "application/json"}
body = json.dumps({"channelId": channel, "drops": drops, "key": key, "wait": "10s"}).encode()
try:
    charge = json.load(urllib.request.urlopen(urllib.request.Request(url + "/charge", body, headers)))
    print(f"charged {charge['drops']} drops; {charge['spent']} of {charge['committed']} are spent")
except urllib.error.HTTPError as refused:
    error = json.load(refused)["error"]
    print(f"{refused.code} {error['code']}: {error['message']}")
