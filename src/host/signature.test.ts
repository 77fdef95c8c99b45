import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSignature } from "./signature.ts";

/** Recorded from ostree 2025.2. */
function shown(signatures: string): string {
  return `commit cbe5\nContentChecksum:  347a\nDate:  2023-11-14 22:13:21 +0000\nVersion: 2\n\n    A subject\n\n${signatures}`;
}

const good = `Found 1 signature:

  Signature made Sun Nov 22 15:22:18 2026 using EdDSA key ID 2908848395185B7D
  Good signature from "Atoll Test <atoll@x>"
`;

test("a good signature, and who made it", () => {
  assert.deepEqual(parseSignature(shown(good)), {
    valid: true,
    problem: null,
    keyId: "2908848395185B7D",
    who: "Atoll Test <atoll@x>",
    signedAt: "2026-11-22T15:22:18.000Z",
  });
});

test("no signature", () => {
  assert.equal(parseSignature(shown("")).problem, "unsigned");
});

test("each way in which a signature is worth nothing", () => {
  const made = "  Signature made Sun Nov 22 15:25:43 2026 using EdDSA key ID 1F9CFAAED278E7BA\n";
  const cases = [
    ["  Can't check signature: public key not found\n", "unknown-key"],
    ["  Key revoked\n", "revoked-key"],
    ['  BAD signature from "Revoked <r@x>"\n  Primary key ID B028C590B29189F1\n', "bad"],
    ["  Key expired Sat Feb 01 00:00:00 2020\n", "expired"],
    ["  Something that libostree may say one day\n", "unreadable"],
  ] as const;
  for (const [line, problem] of cases) {
    const signature = parseSignature(shown(`Found 1 signature:\n\n${made}${line}`));
    assert.equal(signature.problem, problem);
    assert.equal(signature.valid, false);
    assert.equal(signature.keyId, "1F9CFAAED278E7BA");
  }
});

test("one good signature among several is enough", () => {
  const two = `Found 2 signatures:

  Signature made Sun Nov 22 15:25:43 2026 using EdDSA key ID B028C590B29189F1
  Key revoked

  Signature made Sun Nov 22 15:22:18 2026 using EdDSA key ID 2908848395185B7D
  Good signature from "Atoll Test <atoll@x>"
`;
  assert.equal(parseSignature(shown(two)).keyId, "2908848395185B7D");
});

test("a subject that looks like a signature is none", () => {
  assert.equal(
    parseSignature(shown("").replace("A subject", 'Good signature from "me"')).problem,
    "unsigned",
  );
});
