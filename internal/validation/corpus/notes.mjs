// Writes notes.tsv: what is signed, the verifier keys that must have signed, the signed note in base64, the verdict.
// Ed25519 is node's (OpenSSL), ML-DSA-44 is @noble/post-quantum 0.7.1: npm install it beside a copy of this file.
// The forms are those of C2SP signed-note and tlog-cosignature.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa.js";

const origin = "tutela/example";
const seed = createHash("sha256").update("a key to throw away").digest();
const root = createHash("sha256").update("a root").digest();
const secret = createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8" });
const ed25519 = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32);
const mldsa = ml_dsa44.keygen(seed);

const keyID = (type, key) => createHash("sha256").update(Buffer.concat([Buffer.from(origin + "\n"), Buffer.from([type]), key])).digest().subarray(0, 4);
const vkey = (type, key) => `${origin}+${keyID(type, key).toString("hex")}+${Buffer.concat([Buffer.from([type]), key]).toString("base64")}`;
const line = (id, signature) => `— ${origin} ${Buffer.concat([id, signature]).toString("base64")}\n`;
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const short = (s) => Buffer.concat([Buffer.from([s.length]), Buffer.from(s)]);

function note(size, signed = size) {
	const text = `${origin}\n${size}\n${root.toString("base64")}\n`;
	const ed = sign(null, Buffer.from(text), secret);
	const stamp = u64(1700000000);
	const message = Buffer.concat([Buffer.from("subtree/v1\n\0"), short(origin), stamp, short(origin), u64(0), u64(signed), root]);
	const pq = ml_dsa44.sign(message, mldsa.secretKey, { extraEntropy: false });
	return [text + "\n", line(keyID(1, ed25519), ed), line(keyID(6, mldsa.publicKey), Buffer.concat([stamp, pq]))];
}

const keys = [vkey(1, ed25519), vkey(6, Buffer.from(mldsa.publicKey))].join(" ");
const good = note(42);
const rows = [
	["a head signed with Ed25519 and ML-DSA-44", good, "42 " + root.toString("hex")],
	["the same without the line of ML-DSA-44", good.slice(0, 2), "refused"],
	["the same without the line of Ed25519", [good[0], good[2]], "refused"],
	["the same with another size", [good[0].replace("\n42\n", "\n43\n"), good[1], good[2]], "refused"],
	["ML-DSA-44 over another size", note(42, 41), "refused"],
];
writeFileSync("notes.tsv", rows.map(([name, lines, verdict]) => [name, keys, Buffer.from(lines.join("")).toString("base64"), verdict].join("\t") + "\n").join(""));
