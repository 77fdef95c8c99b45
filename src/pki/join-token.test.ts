import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AtollError, hasCode } from "../errors.ts";
import {
  createJoinToken,
  formatJoinToken,
  type JoinToken,
  parseJoinToken,
  useJoinToken,
} from "./join-token.ts";

const now = new Date("2030-01-01T00:00:00Z");
const authority = "ab".repeat(32);
const characters = "0123456789abcdefghjkmnpqrstvwxyz";

const tokens: fc.Arbitrary<JoinToken> = fc.record(
  {
    id: fc.string({ unit: fc.constantFrom(...characters.split("")), minLength: 8, maxLength: 8 }),
    secret: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
    authority: fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString("hex")),
  },
  { noNullPrototype: true },
);

/** What is wrong with `text`, in the parser's words; fails when it says nothing. */
function complaint(text: string): string {
  try {
    parseJoinToken(text);
  } catch (error) {
    if (hasCode(error, "JOIN_TOKEN_MANGLED")) return String(error.parameters.problem);
    throw error;
  }
  throw new assert.AssertionError({ message: `${text} was taken for a token` });
}

test("what is formatted is read back", () => {
  fc.assert(fc.property(tokens, (token) => assert.deepEqual(parseJoinToken(formatJoinToken(token)), token)));
});

test("it survives capitals, line breaks and look-alikes", () => {
  fc.assert(
    fc.property(tokens, fc.nat({ max: 100 }), (token, at) => {
      const text = formatJoinToken(token);
      const [head = "", ...parts] = text.split(".");
      const handwritten = parts.map((part) => part.toUpperCase().replaceAll("0", "O").replaceAll("1", "I"));
      assert.deepEqual(parseJoinToken([head, ...handwritten].join(".")), token);
      assert.deepEqual(parseJoinToken(`  ${text.slice(0, at)}\r\n ${text.slice(at)}\n`), token);
    }),
  );
});

test("one character changed, lost or added is noticed", () => {
  const position = fc.nat({ max: 101 });
  fc.assert(
    fc.property(tokens, position, fc.constantFrom(...characters.split("")), (token, at, character) => {
      const text = formatJoinToken(token);
      const [before, after] = [text.slice(0, at), text.slice(at + 1)];
      if (text.charAt(at) !== character) complaint(before + character + after);
      complaint(before + after);
      complaint(before + character + text.slice(at));
      complaint(before);
    }),
  );
});

test("text of any kind is a token or a complaint, never another error", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((rest) => `atoll1.${rest}`),
      ),
      (text) => void complaint(text),
    ),
  );
});

test("a mangled token is told what is wrong with it, and its secret is not repeated", () => {
  const { text } = createJoinToken({ role: "worker", authority, now });
  assert.match(complaint("SWMTKN-1-abc"), /does not begin so/);
  assert.match(complaint(text.replace("atoll1", "atoll2")), /of the form atoll2/);
  assert.match(complaint(text.slice(0, 60)), /end is missing/);
  assert.match(complaint(`${text}.more`), /behind its end/);
  assert.match(complaint(text.replace(/.$/, (last) => (last === "0" ? "1" : "0"))), /changed, lost or added/);
  for (const length of [30, 60, 90]) {
    assert.ok(!complaint(text.slice(0, length)).includes(text.split(".")[2] ?? "none"));
  }
});

test("a token is used as often as it may be, until it ends", () => {
  const { text, record } = createJoinToken({ role: "control", authority, now, life: 60, uses: 2 });
  const token = parseJoinToken(text);
  assert.deepEqual([token.id, token.authority, record.role], [record.id, authority, "control"]);
  const once = useJoinToken(record, token, now);
  const twice = useJoinToken(once, token, new Date(now.getTime() + 59_999));
  assert.deepEqual([record.usesLeft, once.usesLeft, twice.usesLeft], [2, 1, 0]);
  assert.throws(() => useJoinToken(twice, token, now), { code: "JOIN_TOKEN_USED_UP" });
  const end = new Date(now.getTime() + 60_000);
  assert.throws(() => useJoinToken(record, token, end), { code: "JOIN_TOKEN_EXPIRED" });
});

test("unknown, another's, and with another secret look the same, expired or not", () => {
  const one = createJoinToken({ role: "worker", authority, now });
  const other = createJoinToken({ role: "worker", authority, now });
  const token = parseJoinToken(one.text);
  const guessed = { ...token, secret: Buffer.alloc(16) };
  const late = new Date(now.getTime() + 1e9);
  const messages = [
    () => useJoinToken(null, token, now),
    () => useJoinToken(other.record, token, now),
    () => useJoinToken(one.record, guessed, now),
    () => useJoinToken(one.record, guessed, late),
    () => useJoinToken({ ...one.record, usesLeft: 0 }, guessed, now),
    () => useJoinToken({ ...other.record, id: one.record.id }, token, now),
    () => useJoinToken({ ...one.record, hash: "" }, token, now),
  ].map((attempt) => {
    try {
      attempt();
    } catch (error) {
      if (error instanceof AtollError) return `${error.code} ${error.message}`;
    }
    return "accepted";
  });
  assert.deepEqual(new Set(messages).size, 1);
  assert.match(messages[0] ?? "", /^JOIN_TOKEN_UNKNOWN/);
});

test("the record does not hold the secret, and the text does not hold the record's hash", () => {
  const { text, record } = createJoinToken({ role: "worker", authority, now });
  const { secret } = parseJoinToken(text);
  assert.ok(!JSON.stringify(record).includes(secret.toString("hex")));
  assert.ok(!JSON.stringify(record).includes(text.split(".")[2] ?? "none"));
  assert.ok(!text.includes(record.hash.slice(0, 16)));
});

test("limits are checked", () => {
  for (const limits of [
    { life: 0 },
    { life: 1e9 },
    { life: 0.5 },
    { uses: 0 },
    { uses: 1e6 },
    { uses: Number.NaN },
  ]) {
    assert.throws(() => createJoinToken({ role: "worker", authority, now, ...limits }), {
      code: "JOIN_TOKEN_LIMITS",
    });
  }
});
