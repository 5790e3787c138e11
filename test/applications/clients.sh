#!/usr/bin/env bash
# Clients as their users start them: each downloads DIRECT and THROUGH and uploads to THROUGH, and says whether the bytes are the same.
#   test/applications/clients.sh http://127.0.0.1:ORIGIN/file https://localhost:GATEWAY/file [CA.crt]
# An origin that answers a POST with the bytes that it got is expected. PYTHON names a Python with requests, httpx[http2] and aiohttp;
# what is not there (wget, aria2c, go, java) is left out.
set -uo pipefail
direct=$1 through=$2 ca=${3:-/etc/ssl/certs/ca-certificates.crt} python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 200000 /dev/urandom > "$work/up"
sum() { sha256sum | cut -c1-16; }
want=$(curl -s "$direct" | sum)
sent=$(sum < "$work/up")
say() { # name, sum of what came down, sum of what came back
  [ "$2" = "$want" ] && down=ok || down=FAIL
  [ "${3:-$sent}" = "$sent" ] && up=ok || up=FAIL
  printf '%-24s down %s, up %s\n' "$1" "$down" "${3:+$up}"
}

for version in --http1.0 --http1.1 --http2; do
  say "curl $version" "$(curl -s --cacert "$ca" $version "$through" | sum)" "$(curl -s --cacert "$ca" $version --data-binary @"$work/up" "$through" | sum)"
done
say 'curl chunked' "$(curl -s --cacert "$ca" "$through" | sum)" "$(curl -s --cacert "$ca" -H 'Transfer-Encoding: chunked' --data-binary @"$work/up" "$through" | sum)"
say 'wget' "$(wget -q --ca-certificate="$ca" -O - "$through" | sum)" "$(wget -q --ca-certificate="$ca" -O - --post-file="$work/up" "$through" | sum)"
aria2c -q --ca-certificate="$ca" -x 4 -d "$work" -o aria "$through" && say 'aria2c' "$(sum < "$work/aria")"
"$python" - "$through" "$ca" "$work/up" <<'PY' | while read -r name down up; do say "$name" "$down" "$up"; done
import asyncio, hashlib, ssl, sys
url, ca, path = sys.argv[1:]
up = open(path, 'rb').read()
short = lambda b: hashlib.sha256(b).hexdigest()[:16]
def tell(name, down, back): print(name, short(down), short(back), flush=True)
import requests
tell('requests', requests.get(url, verify=ca).content, requests.post(url, data=up, verify=ca).content)
import httpx
context = ssl.create_default_context(cafile=ca)
for version in (False, True):
    with httpx.Client(verify=context, http2=version) as client:
        down = client.get(url)
        tell('httpx/' + down.http_version, down.content, client.post(url, content=up).content)
import aiohttp
async def main():
    context = ssl.create_default_context(cafile=ca)  # httpx has changed the other one
    async with aiohttp.ClientSession() as session:
        async with session.get(url, ssl=context) as answer: down = await answer.read()
        async with session.post(url, data=up, ssl=context) as answer: tell('aiohttp', down, await answer.read())
asyncio.run(main())
PY
node --input-type=module - "$through" "$ca" "$work/up" <<'JS' | while read -r name down up; do say "$name" "$down" "$up"; done
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'
const [url, ca, path] = process.argv.slice(2)
const short = bytes => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
for (const allowH2 of [false, true]) {
  const dispatcher = new Agent({ allowH2, connect: { ca: readFileSync(ca) } })
  const read = async options => Buffer.from(await (await request(url, { dispatcher, ...options })).body.arrayBuffer())
  console.log(allowH2 ? 'undici/2' : 'undici/1.1', short(await read({})), short(await read({ method: 'POST', body: readFileSync(path) })))
  await dispatcher.close()
}
JS
if command -v go > /dev/null; then
  cat > "$work/client.go" <<'GO'
package main

import ("bytes"; "crypto/sha256"; "crypto/tls"; "crypto/x509"; "fmt"; "io"; "net/http"; "os")

func sum(answer *http.Response, err error) (string, string) {
	if err != nil { return "-", err.Error() }
	body, err := io.ReadAll(answer.Body)
	if err != nil { return answer.Proto, err.Error() }
	return answer.Proto, fmt.Sprintf("%x", sha256.Sum256(body))[:16]
}
func main() {
	pem, _ := os.ReadFile(os.Args[2])
	up, _ := os.ReadFile(os.Args[3])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, two := range []bool{false, true} {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: two}}
		proto, down := sum(client.Get(os.Args[1]))
		_, back := sum(client.Post(os.Args[1], "application/octet-stream", bytes.NewReader(up)))
		fmt.Println("Go:"+proto, down, back)
		// Of a length that nobody knows: in chunks.
		_, back = sum(client.Post(os.Args[1], "application/octet-stream", io.MultiReader(bytes.NewReader(up))))
		fmt.Println("Go:"+proto+",chunks", down, back)
	}
}
GO
  go run "$work/client.go" "$through" "$ca" "$work/up" | while read -r name down up; do say "$name" "$down" "$up"; done
fi
if command -v java > /dev/null; then
  cat > "$work/Client.java" <<'JAVA'
import java.io.*; import java.net.*; import java.net.http.*; import java.nio.file.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
public class Client {
  static String sum(byte[] bytes) throws Exception {
    return String.format("%064x", new java.math.BigInteger(1, MessageDigest.getInstance("SHA-256").digest(bytes))).substring(0, 16);
  }
  public static void main(String[] args) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = new FileInputStream(args[1])) { store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in)); }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    byte[] up = Files.readAllBytes(Path.of(args[2]));
    for (HttpClient.Version version : HttpClient.Version.values()) {
      HttpClient client = HttpClient.newBuilder().version(version).sslContext(tls).build();
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0]));
      HttpResponse<byte[]> down = client.send(request.GET().build(), HttpResponse.BodyHandlers.ofByteArray());
      byte[] back = client.send(request.POST(HttpRequest.BodyPublishers.ofByteArray(up)).build(), HttpResponse.BodyHandlers.ofByteArray()).body();
      byte[] chunks = client.send(request.POST(HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(up))).build(), HttpResponse.BodyHandlers.ofByteArray()).body();
      System.out.println("Java:" + down.version() + " " + sum(down.body()) + " " + sum(back));
      System.out.println("Java:" + down.version() + ",chunks " + sum(down.body()) + " " + sum(chunks));
    }
  }
}
JAVA
  java "$work/Client.java" "$through" "$ca" "$work/up" | while read -r name down up; do say "$name" "$down" "$up"; done
fi
